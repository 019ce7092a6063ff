/** Results as files, made in the browser. */

/** Download a blob as a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Encode the faces as JSON of the published schema. */
export function jsonBlob(answer) {
  return new Blob([JSON.stringify(answer), "\n"], { type: "application/json" });
}

/** Encode a canvas as PNG. */
export function pngBlob(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture is too large for a PNG."))));
  });
}

/** Encode one face as binary glTF: metres, y up, camera at the origin; the photo is the texture. */
export async function glbBlob(face, picture, topology) {
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
