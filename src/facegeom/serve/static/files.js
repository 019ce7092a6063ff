/** Results as files, made in the browser. */

import { overlayCanvas } from "./viewer.js";

const CROP_PX = 224;

/**
 * The formats: of `all` faces or of the chosen one; `make` returns a blob or text for what the page shows.
 *
 * @type {Record<string, {label: string, ending: string, note: string, all?: boolean, make: (shown: object, show: object) => Promise<Blob>}>}
 */
export const FORMATS = {
  json: { label: "JSON", ending: ".json", all: true, note: "Everything that was found, of all faces, as numbers.", make: ({ answer }) => text(`${JSON.stringify(answer)}\n`, "application/json") },
  csv: { label: "CSV", ending: ".csv", all: true, note: "A row for each face: box, angles, place, the 68 points in pixels.", make: async ({ answer }) => text((await import("./local/writers.js")).csvText(answer), "text/csv") },
  png: { label: "PNG", ending: ".faces.png", all: true, note: "The photo, with what is shown over it.", make: (shown, show) => pngBlob(overlayCanvas(shown, show)) },
  obj: { label: "OBJ", ending: ".obj", note: "The mesh of the chosen face, millimetres.", make: async ({ answer, selected, topology }) => text((await import("./local/writers.js")).objText(answer.faces[selected], topology.triangles), "model/obj") },
  ply: { label: "PLY", ending: ".ply", note: "The mesh of the chosen face with a confidence for each point, millimetres.", make: async ({ answer, selected, topology }) => new Blob([(await import("./local/writers.js")).plyBytes(answer.faces[selected], topology.triangles)], { type: "model/ply" }) },
  glb: { label: "GLB", ending: ".glb", note: "The chosen face as a 3D model with its photo, metres.", make: ({ answer, selected, picture, topology }) => glbBlob(answer.faces[selected], picture, topology) },
  crop: { label: "Crop", ending: ".aligned.png", note: `The chosen face, upright, ${CROP_PX} pixels: ArcFace's alignment.`, make: cropBlob },
  depth: { label: "Depth", ending: ".depth.png", note: "Depth of the chosen face as 16-bit PNG, steps of 0.01 mm; 0 where no face is.", make: depthBlob },
};

/** Download a blob as a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Copy a format to the clipboard: texts as text, pictures as pictures. */
export async function copy(blobPromise) {
  const blob = await blobPromise;
  if (!navigator.clipboard) throw new Error("copying works only at https:// or on this machine itself; download the file");
  if (blob.type === "image/png") return navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
  return navigator.clipboard.writeText(await blob.text());
}

/** Return whether a format can be copied: binary models cannot. */
export function isCopied(format) {
  return !["ply", "glb", "depth"].includes(format); // a clipboard makes 8 bits of 16
}

function text(content, type) {
  return new Blob([content], { type });
}

/** Encode a canvas as PNG. */
function pngBlob(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture is too large for a PNG"))));
  });
}

/** Encode one face as binary glTF: metres, y up, camera at the origin; the photo is the texture. */
async function glbBlob(face, picture, topology) {
  const [THREE, { GLTFExporter }, { faceGeometry, photoTexture }] = await Promise.all([
    import("three"),
    import("./vendor/three/GLTFExporter.js"),
    import("./model3d.js"),
  ]);
  const { geometry, origin } = faceGeometry(face, picture, topology);
  geometry.translate(origin.x, origin.y, origin.z).scale(0.001, 0.001, 0.001);
  const skin = new THREE.MeshBasicMaterial({ map: photoTexture(face, picture), side: THREE.DoubleSide });
  const mesh = new THREE.Mesh(geometry, skin);
  mesh.name = "face";
  const content = await new GLTFExporter().parseAsync(mesh, { binary: true });
  return new Blob([content], { type: "model/gltf-binary" });
}

async function cropBlob({ answer, selected, picture }) {
  const [model, { alignedCrop }, { pixels }] = await Promise.all([modelData(), import("./local/alignment.js"), import("./local/photo.js")]);
  const { data } = alignedCrop(pixels(picture), answer.faces[selected], model.alignment, CROP_PX);
  const image = new ImageData(CROP_PX, CROP_PX);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    image.data.set(data.subarray(from, from + 3), to);
    image.data[to + 3] = 255;
  }
  const canvas = Object.assign(document.createElement("canvas"), { width: CROP_PX, height: CROP_PX });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return pngBlob(canvas);
}

async function depthBlob({ answer, selected }) {
  const [model, { depthPng, meshDepth }] = await Promise.all([modelData(), import("./local/depth.js")]);
  const depth = meshDepth(answer.faces[selected], model.depth, model.canonical_mm);
  return (await depthPng(depth, model.depth.unit_mm)).png;
}

async function modelData() {
  const answer = await fetch("model.json").catch(() => null);
  if (!answer?.ok) throw new Error("the service does not answer; check that it still runs, and try again");
  return answer.json();
}
