/** Faces as JSON. Mirrors `facegeom.export.faces_json`; the schema is facegeom/data/faces.schema.json. */

import { rint } from "./numbers.js";
import { anglesFromRotation, product, rotationToLineOfSight } from "./rotation.js";

const SCHEMA = 2;

/**
 * @param {object[]} faces predictions with `meshMm` and `translationMm`
 * @param {{file: string | null, width: number, height: number, fovDeg: number, fovSource: string, turnedDeg: number,
 *   minFacePx: number}}
 *   about of the photo
 */
export function toDict(faces, about) {
  const { file, width, height, turnedDeg, minFacePx } = about;
  const image = { file, width, height, ...(turnedDeg ? { turned_deg: turnedDeg } : {}), min_face_px: to(minFacePx, 3) };
  return { schema: SCHEMA, image, faces: faces.map((face) => faceToDict(face, about)) };
}

function faceToDict(face, about) {
  return {
    box_xyxy: rounded(face.box, 3),
    score: rounded(face.score, 4),
    landmarks: { ibug68: rounded(face.landmarks, 3) },
    confidence: { ibug68: rounded(face.landmarksConfidence, 4), mesh478: rounded(face.meshConfidence, 4) },
    mesh_px: rounded(face.mesh, 3),
    mesh_mm: rounded(face.meshMm, 3),
    pose: poseToDict(face, about),
  };
}

function poseToDict({ rotation, translationMm }, { fovDeg, fovSource }) {
  const kept = rotation.map((row) => row.map(Math.fround));
  const [yaw, pitch, roll] = anglesFromRotation(kept).map((angle) => to(angle, 3));
  const inCamera = product(rotationToLineOfSight(translationMm.map(Math.fround)), kept);
  return {
    rotation: rounded(kept, 6),
    yaw_deg: yaw,
    pitch_deg: pitch,
    roll_deg: roll,
    camera: {
      rotation: rounded(inCamera, 6),
      translation_mm: rounded(translationMm, 3),
      fov_deg: to(fovDeg, 3),
      fov_source: fovSource,
    },
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
