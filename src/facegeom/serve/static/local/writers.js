/** Faces as files: text of OBJ and CSV, bytes of PLY. Mirrors `facegeom.export.obj`, `.ply` and `facegeom.results.rows`. */

const FRAME = "millimetres, x right, y up, z towards the camera at the origin";
const COLUMNS = ["file", "face", "score", "box_left", "box_top", "box_right", "box_bottom", "yaw_deg", "pitch_deg", "roll_deg",
  "x_mm", "y_mm", "z_mm", "fov_deg", "fov_source"];

/**
 * Return the mesh of a face as Wavefront OBJ: millimetres, y up, triangles counted from 1.
 *
 * @param {object} face of the published schema
 * @param {number[][]} triangles of /v1/topology
 */
export function objText({ mesh_mm: mesh }, triangles) {
  const vertices = mesh.map((point) => `v ${upwards(point).map((value) => value.toFixed(4)).join(" ")}`);
  const faces = triangles.map((corners) => `f ${corners.map((index) => index + 1).join(" ")}`);
  return [`# facegeom mesh: ${mesh.length} points, ${FRAME}`, ...vertices, ...faces, ""].join("\n");
}

/** Return the mesh of a face with its confidences as binary PLY: little-endian, triangles counted from 0. */
export function plyBytes({ mesh_mm: mesh, confidence: { mesh478: confidence } }, triangles) {
  const properties = ["x", "y", "z", "confidence"].map((name) => `property float ${name}`);
  const header = new TextEncoder().encode([
    "ply",
    "format binary_little_endian 1.0",
    `comment facegeom mesh: ${FRAME}`,
    `element vertex ${mesh.length}`,
    ...properties,
    `element face ${triangles.length}`,
    "property list uchar int vertex_indices",
    "end_header\n",
  ].join("\n"));
  const bytes = new Uint8Array(header.length + 16 * mesh.length + 13 * triangles.length);
  bytes.set(header);
  const view = new DataView(bytes.buffer);
  let at = header.length;
  mesh.forEach((point, index) => {
    for (const value of [...upwards(point), confidence[index]]) {
      view.setFloat32(at, value, true);
      at += 4;
    }
  });
  for (const corners of triangles) {
    view.setUint8(at++, corners.length);
    for (const index of corners) {
      view.setInt32(at, index, true);
      at += 4;
    }
  }
  return bytes;
}

/** Return all faces as CSV, a row for each: place, angles, distance, and the 68 points in pixels. */
export function csvText({ image, faces }) {
  const names = faces[0]?.landmarks.ibug68.flatMap((_, index) => [`landmark_${index}_x`, `landmark_${index}_y`]) ?? [];
  const rows = faces.map(({ score, box_xyxy: box, pose, landmarks }, index) => {
    const { translation_mm: place, fov_deg: fov, fov_source: source } = pose.camera;
    const angles = [pose.yaw_deg, pose.pitch_deg, pose.roll_deg];
    return [quoted(image.file ?? ""), index, score, ...box, ...angles, ...place, fov, source, ...landmarks.ibug68.flat()].join(",");
  });
  return [[...COLUMNS, ...names].join(","), ...rows, ""].join("\r\n");
}

function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Return a point of the camera frame with y up and z towards the camera. */
function upwards([x, y, z]) {
  return [x, -y, -z];
}
