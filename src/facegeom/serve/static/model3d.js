/** Geometry and texture of a face for three.js, used by the 3D view and the GLB. */

import * as THREE from "three";

const TEXTURE_SIDE = 1024; // pixels, maximum
const MOST_STRETCHED = 1.3; // of a texture that is used again for another face

/**
 * Create the mesh of a face: x right, y up, z towards the viewer, millimetres.
 *
 * @param {THREE.BufferGeometry} geometry of another face, which becomes that of this one
 * @returns {{geometry: THREE.BufferGeometry, origin: THREE.Vector3}} the geometry with texture coordinates and
 *   its centre at the origin, and the original centre
 */
export function faceGeometry(face, picture, { triangles }, geometry = new THREE.BufferGeometry().setIndex(triangles.flat())) {
  const [left, top, right, bottom] = visiblePart(face, picture);
  setAttribute(geometry, "position", 3, face.mesh_mm.flatMap(([x, y, z]) => [x, -y, -z]));
  setAttribute(geometry, "uv", 2, face.mesh_px.flatMap(([x, y]) => [(x + 0.5 - left) / (right - left), (y + 0.5 - top) / (bottom - top)]));
  geometry.computeVertexNormals();
  turnLoneNormals(geometry.getAttribute("normal"));
  geometry.computeBoundingBox();
  const origin = geometry.boundingBox.getCenter(new THREE.Vector3());
  geometry.translate(-origin.x, -origin.y, -origin.z);
  return { geometry, origin };
}

/** Set an attribute; one that is there takes the values, and keeps its memory on the graphics card. */
export function setAttribute(geometry, name, size, values) {
  const attribute = geometry.getAttribute(name);
  if (!attribute) return void geometry.setAttribute(name, new THREE.Float32BufferAttribute(values, size));
  attribute.array.set(values);
  attribute.needsUpdate = true;
}

/** Point the normals of vertices without triangles (the irises) towards the viewer. */
function turnLoneNormals(normals) {
  for (let index = 0; index < normals.count; index++) {
    const length = Math.hypot(normals.getX(index), normals.getY(index), normals.getZ(index));
    if (length === 0) normals.setXYZ(index, 0, 0, 1);
  }
}

/** Create a texture of the part of the photo that the face covers; its first row is the top one. */
export function photoTexture(face, picture) {
  const { part, size } = textured(face, picture);
  const texture = new THREE.CanvasTexture(Object.assign(document.createElement("canvas"), size));
  texture.flipY = false;
  texture.colorSpace = THREE.SRGBColorSpace;
  drawTexture(texture.image, picture, part);
  return texture;
}

/** Draw another face into a texture, and return it; return null if the face has another size. */
export function redrawn(texture, face, picture) {
  const { part, size } = textured(face, picture);
  const ratios = ["width", "height"].map((side) => size[side] / texture.image[side]);
  if (Math.max(...ratios) > MOST_STRETCHED || Math.min(...ratios) < 1 / MOST_STRETCHED) return null;
  drawTexture(texture.image, picture, part);
  texture.needsUpdate = true;
  return texture;
}

function drawTexture(canvas, picture, part) {
  canvas.getContext("2d").drawImage(picture, ...part, 0, 0, canvas.width, canvas.height);
}

/** Return the part of the photo of a texture, left, top, width and height, and the texture's size. */
function textured(face, picture) {
  const [left, top, right, bottom] = visiblePart(face, picture);
  const part = [left, top, right - left, bottom - top];
  const shrink = Math.min(1, TEXTURE_SIDE / Math.max(part[2], part[3]));
  const [width, height] = part.slice(2).map((side) => Math.max(1, Math.round(side * shrink)));
  return { part, size: { width, height } };
}

/** Return left, top, right, bottom (exclusive) of the mesh in the photo, whole pixels; at least one pixel. */
function visiblePart(face, picture) {
  const range = (axis, size) => {
    const values = face.mesh_px.map((point) => point[axis]);
    const low = Math.min(size - 1, Math.max(0, Math.floor(Math.min(...values))));
    return [low, Math.min(size, Math.max(low + 1, Math.ceil(Math.max(...values)) + 1))];
  };
  const [left, right] = range(0, picture.width);
  const [top, bottom] = range(1, picture.height);
  return [left, top, right, bottom];
}
