/** Faces as JSON. Mirrors `facegeom.export.faces_json`; the schema is facegeom/data/faces.schema.json. */

import { gazeAngles } from "./expression.js";
import { rint } from "./numbers.js";
import { anglesFromRotation, product, rotationToLineOfSight } from "./rotation.js";

const SCHEMA = 2;

/**
 * @param {object[]} faces predictions with millimetres, expression and gaze
 * @param {{file: string | null, width: number, height: number, fovDeg: number, fovSource: string, turnedDeg: number,
 *   minFacePx: number}}
 *   about of the photo
 * @param {string[]} names of the coefficients
 */
export function toDict(faces, about, names) {
  const { file, width, height, fovDeg, fovSource, turnedDeg, minFacePx } = about;
  const image = { file, width, height, ...(turnedDeg ? { turned_deg: turnedDeg } : {}), min_face_px: to(minFacePx, 3) };
  if (faces.length === 0) Object.assign(image, { fov_deg: to(fovDeg, 3), fov_source: fovSource }); // faces have it
  return { schema: SCHEMA, image, faces: faces.map((face) => faceToDict(face, about, names)) };
}

function faceToDict(face, about, names) {
  const [yaw, pitch] = gazeAngles(...[face.rotation, face.gaze, face.gazeConfidence].map(single));
  return {
    box_xyxy: rounded(face.box, 3),
    score: rounded(face.score, 4),
    landmarks: { ibug68: rounded(face.landmarks, 3) },
    confidence: { ibug68: rounded(face.landmarksConfidence, 4), mesh478: rounded(face.meshConfidence, 4) },
    mesh_px: rounded(face.mesh, 3),
    mesh_mm: rounded(face.meshMm, 3),
    pose: poseToDict(face, about),
    expression: Object.fromEntries(names.map((name, index) => [name, rounded(face.expression[index], 4)])),
    gaze: {
      eyes: rounded(face.gaze, 4),
      confidence: rounded(face.gazeConfidence, 4),
      yaw_deg: to(yaw, 3),
      pitch_deg: to(pitch, 3),
    },
  };
}

function poseToDict({ rotation, translationMm }, { fovDeg, fovSource }) {
  const kept = single(rotation);
  const [yaw, pitch, roll] = anglesFromRotation(kept).map((angle) => to(angle, 3));
  const inCamera = product(rotationToLineOfSight(single(translationMm)), kept);
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

/** Round to single precision, as `Faces` stores it; values may be nested lists. */
function single(values) {
  return Array.isArray(values) ? values.map(single) : Math.fround(values);
}

/** Round to single precision, then to decimals; values may be nested lists. */
function rounded(values, decimals) {
  return Array.isArray(values) ? values.map((value) => rounded(value, decimals)) : to(Math.fround(values), decimals);
}

function to(value, decimals) {
  return rint(value * 10 ** decimals) / 10 ** decimals;
}
