/** Faces as JSON. Mirrors `facegeom.export.faces_json`; the schema is facegeom/data/faces.schema.json. */

import { rint } from "./numbers.js";
import { anglesFromRotation } from "./rotation.js";

const SCHEMA = 1;

/**
 * @param {object[]} faces predictions with `meshMm`, `translationMm` and the rotation in the camera frame
 * @param {{file: string | null, width: number, height: number}} image
 */
export function toDict(faces, { file, width, height }) {
  return { schema: SCHEMA, image: { file, width, height }, faces: faces.map(faceToDict) };
}

function faceToDict(face) {
  return {
    box_xyxy: rounded(face.box, 3),
    score: rounded(face.score, 4),
    landmarks: { ibug68: rounded(face.landmarks, 3) },
    confidence: { ibug68: rounded(face.landmarksConfidence, 4), mesh478: rounded(face.meshConfidence, 4) },
    mesh_px: rounded(face.mesh, 3),
    mesh_mm: rounded(face.meshMm, 3),
    pose: poseToDict(face),
  };
}

function poseToDict({ rotation, translationMm }) {
  const kept = rotation.map((row) => row.map(Math.fround));
  const [yaw, pitch, roll] = anglesFromRotation(kept).map((angle) => to(angle, 3));
  return {
    rotation: rounded(kept, 6),
    translation_mm: rounded(translationMm, 3),
    yaw_deg: yaw,
    pitch_deg: pitch,
    roll_deg: roll,
  };
}

/** Round to single precision, as `Faces` stores it, then to decimals; values may be nested lists. */
function rounded(values, decimals) {
  if (Array.isArray(values)) return values.map((value) => rounded(value, decimals));
  return to(Math.fround(values), decimals);
}

function to(value, decimals) {
  return rint(value * 10 ** decimals) / 10 ** decimals;
}
