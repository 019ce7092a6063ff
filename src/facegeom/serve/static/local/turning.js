/** Photos that may stand on their side or upside down. Mirrors `facegeom.results.turning`. */

import { anglesFromRotation, apply, product } from "./rotation.js";

/**
 * Return the faces of the quarter turn that shows faces best, in coordinates of the photo as given.
 *
 * @param {{width: number, height: number}} size of the photo as given, pixels
 * @param {object[]} asGiven its faces; kept if one of them is sure
 * @param {(turnedDeg: number) => Promise<object[]>} find finds the faces of the photo turned clockwise
 * @param {object} settings the part "turning" of /model.json
 * @returns {Promise<{faces: object[], turnedDeg: number}>}
 */
export async function bestTurn(size, asGiven, find, settings) {
  let best = { faces: asGiven, turnedDeg: 0, ...certainty(asGiven, settings) };
  if (best.sure) return best;
  for (const turnedDeg of settings.turns_deg) {
    const found = await find(turnedDeg);
    const { total } = certainty(found, settings);
    if (total > best.total) best = { faces: found.map((face) => turnBack(face, size, turnedDeg)), turnedDeg, total };
  }
  return best;
}

/** Return whether a face is sure, and the sum of scores and confidences of the faces that stand upright. */
function certainty(faces, { sure_roll_deg: sureRoll, sure_confidence: sureConfidence }) {
  const parts = faces.map(({ score, rotation, landmarksConfidence }) => {
    const confidence = landmarksConfidence.reduce((sum, value) => sum + value, 0) / landmarksConfidence.length;
    const upright = Math.abs(anglesFromRotation(rotation)[2]) < sureRoll;
    return { sure: upright && confidence >= sureConfidence, part: score * confidence * (upright ? 1 : 0.5) };
  });
  return { sure: parts.some(({ sure }) => sure), total: parts.reduce((sum, { part }) => sum + part, 0) };
}

/** Carry a face of the turned photo back to the photo before the turn, of size { width, height }. */
function turnBack(face, { width, height }, turnedDeg) {
  const [sine, cosine] = { 90: [1, 0], 180: [0, -1], 270: [-1, 0] }[turnedDeg];
  const back = [[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]];
  const before = [(width - 1) / 2, (height - 1) / 2];
  const after = sine ? [before[1], before[0]] : before;
  const moved = ([x, y, ...rest]) => {
    const [right, down] = apply(back, [x - after[0], y - after[1], 0]);
    return [right + before[0], down + before[1], ...rest];
  };
  const [one, other] = [moved(face.box.slice(0, 2)), moved(face.box.slice(2))];
  const corner = (pick) => [0, 1].map((axis) => pick(one[axis], other[axis]));
  return {
    ...face,
    box: [...corner(Math.min), ...corner(Math.max)],
    landmarks: face.landmarks.map(moved),
    mesh: face.mesh.map(moved),
    meshMm: face.meshMm.map((point) => apply(back, point)),
    translationMm: apply(back, face.translationMm),
    rotation: product(back, face.rotation),
  };
}
