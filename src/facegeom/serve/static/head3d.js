/** Interactive 3D view of one face with three.js; it is drawn only when something changes. */

import * as THREE from "three";
import { OrbitControls } from "./vendor/three/OrbitControls.js";
import { AXES, GAZE, channels } from "./colours.js";
import { OUTLINES } from "./overlay.js";
import { faceGeometry, photoTexture, redrawn, setAttribute } from "./model3d.js";

const TURN = THREE.MathUtils.degToRad(6); // per press of an arrow key
const ZOOM = 1.1;
const AXIS_MM = 95;
const GAZE_MM = 75;
const DISTANCE_MM = 430; // initial
const HOLES = ["eye_right", "eye_left", "lips_inner"]; // regions without triangles, filled for the photo
const KEYS = {
  ArrowLeft: (view) => view.turn(-TURN, 0),
  ArrowRight: (view) => view.turn(TURN, 0),
  ArrowUp: (view) => view.turn(0, -TURN),
  ArrowDown: (view) => view.turn(0, TURN),
  "+": (view) => view.zoom(1 / ZOOM),
  "=": (view) => view.zoom(1 / ZOOM),
  "-": (view) => view.zoom(ZOOM),
  Home: (view) => view.reset(),
};

/**
 * The 3D view of a face.
 *
 * Frame of the mesh files: x right, y up, z towards the viewer; millimetres; the mesh's centre at the origin. The
 * initial viewpoint is that of the photo's camera.
 */
export class HeadView {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.renderer = new THREE.WebGLRenderer({ canvas, alpha: true, antialias: true });
    this.isSlow = isDrawnByProcessor(this.renderer.getContext());
    this.scene = new THREE.Scene();
    this.camera = new THREE.PerspectiveCamera(28, 1, 1, 5000);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enablePan = false;
    canvas.style.touchAction = "pan-y"; // a finger that moves up or down scrolls the page
    this.controls.minDistance = 180;
    this.controls.maxDistance = 1500;
    this.controls.addEventListener("change", () => this.render());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#fit()).observe(canvas);
    this.reset();
  }

  /**
   * Take another face; `setShown` draws it. Geometries and texture of the last one are used again: a live view makes none anew.
   *
   * @param {object} face of the published schema
   */
  setFace(face, picture, topology) {
    const { geometry, origin } = faceGeometry(face, picture, topology, this.parts?.surface.geometry);
    setAttribute(geometry, "color", 3, confidenceColours(face));
    if (!this.parts) {
      this.parts = buildParts(geometry, topology);
      this.scene.add(...Object.values(this.parts), ...buildLights());
    }
    this.#cover(face, picture);
    pointAxes(this.parts.axes, face, origin);
    pointGaze(this.parts.gaze, face, origin, topology.mesh478.regions);
  }

  /** Lay the photo over the face. */
  #cover(face, picture) {
    const { material } = this.parts.skin;
    if (material.map && redrawn(material.map, face, picture)) return;
    material.map?.dispose();
    material.map = photoTexture(face, picture);
    material.needsUpdate = true;
  }

  /** Set the visible parts; without `skin` the surface shows the confidence. */
  setShown({ contours, points, mesh, axes, gaze, skin }) {
    if (!this.parts) return;
    this.parts.points.visible = points;
    this.parts.contours.visible = contours;
    this.parts.lines.visible = mesh;
    this.parts.axes.visible = axes;
    this.parts.gaze.visible = gaze;
    this.parts.skin.visible = skin;
    this.parts.surface.visible = !skin;
    this.render();
  }

  /** Rotate the view about the vertical axis and up or down, radians. */
  turn(aside, down) {
    const place = new THREE.Spherical().setFromVector3(this.camera.position);
    place.theta -= aside;
    place.phi = THREE.MathUtils.clamp(place.phi - down, 0.05, Math.PI - 0.05);
    this.#stand(place);
  }

  /** Multiply the camera's distance. */
  zoom(factor) {
    const place = new THREE.Spherical().setFromVector3(this.camera.position);
    const { minDistance, maxDistance } = this.controls;
    place.radius = THREE.MathUtils.clamp(place.radius * factor, minDistance, maxDistance);
    this.#stand(place);
  }

  /** Return to the viewpoint of the photo's camera. */
  reset() {
    this.#stand(new THREE.Spherical(DISTANCE_MM, Math.PI / 2, 0));
  }

  render() {
    this.renderer.render(this.scene, this.camera);
  }

  #stand(place) {
    this.camera.position.setFromSpherical(place);
    this.controls.update();
    this.render();
  }

  #key(event) {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(this);
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.render();
  }
}

/** Return whether 3D is drawn without a graphics card: only the name of what draws it says so. */
function isDrawnByProcessor(gl) {
  const name = gl.getParameter(gl.getExtension("WEBGL_debug_renderer_info")?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER);
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

function confidenceColours(face) {
  return face.confidence.mesh478.flatMap((confidence) => {
    const [red, green, blue] = channels(confidence).map((channel) => channel / 255);
    return new THREE.Color().setRGB(red, green, blue, THREE.SRGBColorSpace).toArray();
  });
}

/** Create what is drawn of a face; all parts share the attributes of its geometry. */
function buildParts(geometry, topology) {
  const sharing = (index) => {
    const other = new THREE.BufferGeometry().setIndex(index);
    for (const [name, attribute] of Object.entries(geometry.attributes)) other.setAttribute(name, attribute);
    return other;
  };
  const filled = sharing([...topology.triangles, ...HOLES.flatMap((name) => fan(topology.mesh478.regions[name]))].flat());
  const behind = { polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 1, side: THREE.DoubleSide };
  const lines = sharing(topology.mesh478.lines.flat());
  const outlines = sharing(OUTLINES.flatMap((name) => closed(topology.mesh478.regions[name])));
  const dots = new THREE.PointsMaterial({ vertexColors: true, size: 2.5, sizeAttenuation: false });
  const thin = { vertexColors: true, transparent: true, opacity: 0.3 };
  const parts = {
    skin: new THREE.Mesh(filled, new THREE.MeshBasicMaterial(behind)),
    surface: new THREE.Mesh(geometry, new THREE.MeshLambertMaterial({ vertexColors: true, ...behind })),
    lines: new THREE.LineSegments(lines, new THREE.LineBasicMaterial(thin)),
    contours: new THREE.LineSegments(outlines, new THREE.LineBasicMaterial({ vertexColors: true })),
    points: new THREE.Points(sharing(null), dots),
    axes: arrows(AXES, 14, 8, AXIS_MM),
    gaze: arrows([GAZE, GAZE], 8, 5, GAZE_MM),
  };
  for (const part of Object.values(parts)) part.frustumCulled = false; // the bounds of the next face are others
  return parts;
}

/** Create arrows that have no place yet. */
function arrows(colours, long, wide, reach) {
  const ahead = new THREE.Vector3(0, 0, 1);
  return new THREE.Group().add(...colours.map((colour) => new THREE.ArrowHelper(ahead, ahead, reach, colour, long, wide)));
}

/** Create lights from above and in front, for the surface without the photo. */
function buildLights() {
  const lamp = new THREE.DirectionalLight("#ffffff", 1.8);
  lamp.position.set(0.5, 0.9, 1);
  return [lamp, new THREE.HemisphereLight("#ffffff", "#666666", 0.9)];
}

/** Return an outline as pairs of indices. */
function closed(outline) {
  return outline.flatMap((index, place) => [index, outline[(place + 1) % outline.length]]);
}

/** Fill an outline with a fan of triangles. */
function fan([first, ...others]) {
  return others.slice(1).map((index, before) => [first, others[before], index]);
}

/** Point arrows along the head's x, y and -z (along the nose) from midway between the eyes. */
function pointAxes({ children }, { pose }, origin) {
  const start = yUp(pose.camera.translation_mm).sub(origin);
  [1, 1, -1].forEach((sign, axis) => {
    children[axis].position.copy(start);
    children[axis].setDirection(yUp(pose.camera.rotation.map((row) => row[axis] * sign)));
  });
}

/** Point arrows from the irises to where they look. */
function pointGaze({ children }, { mesh_mm: points, pose, gaze }, origin, { iris_right: right, iris_left: left }) {
  [right[0], left[0]].forEach((centre, eye) => {
    const [x, y, z] = gaze.eyes[eye];
    children[eye].position.copy(yUp(points[centre]).sub(origin));
    children[eye].setDirection(yUp(pose.camera.rotation.map((row) => row[0] * x + row[1] * y + row[2] * z)));
  });
}

function yUp([x, y, z]) {
  return new THREE.Vector3(x, -y, -z);
}
