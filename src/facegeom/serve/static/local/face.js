/**
 * Face network on crops, with predictions mapped back to the photo. Mirrors `facegeom.models.face`.
 *
 * @typedef {object} Prediction of the network for one square, in pixels of the photo
 * @property {number} score in [0, 1]
 * @property {import("./boxes.js").Box} box
 * @property {number[][]} landmarks 68 points (x, y)
 * @property {number[]} landmarksScale 68 expected errors
 * @property {number[]} landmarksConfidence 68, in [0, 1]
 * @property {number[][]} mesh 478 points (x, y, z)
 * @property {number[]} meshScale 478 expected errors
 * @property {number[]} meshConfidence 478, in [0, 1]
 * @property {number[][]} rotation from the head frame to the frame of the line of sight
 * @property {number[]} rotation6d the same as the network gives it
 * @property {import("./boxes.js").Box} square crop box without its margin
 */

import { iou, square } from "./boxes.js";
import { cropSquares } from "./crop.js";
import { anglesFromRotation, apply, rotationFrom6d, rotationOfRoll } from "./rotation.js";
import { cropView, toCropUnits, virtualView } from "./virtual_views.js";

export class FaceNet {
  /**
   * @param {import("./engine.js").Engine} engine of the face network
   * @param {object} settings the part "face" of /model.json
   */
  constructor(engine, settings) {
    Object.assign(this, { engine, settings });
  }

  /**
   * Run the network on squares of a photo.
   *
   * @param {import("./resample.js").Image | import("./pyramid.js").Pyramid} image
   * @param {import("./boxes.js").Box[]} squares
   * @param {import("./camera.js").Camera | null} lens the camera, where known: squares away from its axis are then seen
   *   by virtual cameras that look straight at them
   * @param {number[]} rolls of the faces where they are known, degrees clockwise: their crops are rolled with them
   * @returns {Promise<Prediction[]>}
   */
  async predict(image, squares, lens, rolls = []) {
    const { crop_scale: scale } = this.settings;
    const crops = squares.map((one) => square(one, scale));
    const { pixels, views } = this.cut(image, crops, lens, rolls);
    const outputs = await this.run(pixels);
    return outputs.map((out, index) => {
      const upright = inUpright(out, views[index], crops[index], rolls[index]);
      return inPhoto(crops[index], upright, this.settings);
    });
  }

  /** Refine: crop again the faces whose box has drifted from the square, and predict again; scores stay. */
  async refine(image, predictions, lens) {
    const drifted = predictions.filter((one) => iou(square(one.box), one.square) < this.settings.look_again_iou);
    const better = await this.predict(image, drifted.map((one) => square(one.box)), lens);
    const refined = new Map(drifted.map((one, index) => [one, { ...better[index], score: one.score }]));
    return predictions.map((one) => refined.get(one) ?? one);
  }

  /** Leave out doubtful faces that a crop around their own square does not show, or shows upside down. */
  async confirm(image, predictions, lens) {
    const { doubtful: limit, confirm_score: least, crop_scale: scale } = this.settings;
    const { upside_down_score: sure, upside_down_margin: margin, upside_down_yaw_deg: farthest } = this.settings;
    const doubtful = predictions.filter((one) => mean(one.landmarksConfidence) < limit);
    const { pixels } = this.cut(image, doubtful.map((one) => square(square(one.box), scale)), lens);
    const upright = await this.run(pixels);
    const turned = await this.run(pixels.map(turnedHalf));
    const wrong = doubtful.filter((_, index) => {
      const [here, there] = [upright[index], turned[index]];
      const [yaw] = anglesFromRotation(rotationFrom6d(here.rotation6d));
      const alike = this.certainty(there) >= this.certainty(here) - margin && Math.abs(yaw) < farthest;
      return here.score[0] < least || (there.score[0] >= sure && alike);
    });
    return predictions.filter((one) => !wrong.includes(one));
  }

  /** Return the mean confidence of the 68 points. */
  certainty({ landmarks, landmarks_scale: scales }) {
    return mean(confidence(points(landmarks, 2), this.settings.eye_corners.ibug68, scales, this.settings.near));
  }

  /** Cut crops of a photo: their pixels, and their virtual views or null. */
  cut(image, crops, lens, rolls = []) {
    const { crop_px: size, outside, reducing_gap: gap, views: limits } = this.settings;
    const views = crops.map((crop, index) => virtualView(crop, lens, limits, rolls[index]));
    const pixels = crops.map((crop, index) =>
      views[index]
        ? cropView(image, views[index], size, { ...limits, outside, gap })
        : cropSquares(image, [crop], size, outside, gap));
    return { pixels, views };
  }

  /** Run the network on crops; return the outputs of each. */
  run(crops) {
    return batched(this.engine, crops, this.settings.crop_px, this.settings.batch);
  }
}

/**
 * Run a network on crops, in batches; return the outputs of each.
 *
 * @param {import("./engine.js").Engine} engine
 * @param {Uint8Array[]} crops (size, size, 3)
 * @param {number} size
 * @param {number} batch crops of one call
 * @param {number[][][] | null} first points (K, 2) of a first look at each crop, for the networks that take them
 */
export async function batched(engine, crops, size, batch, first = null) {
  const rows = [];
  for (let start = 0; start < crops.length; start += batch) {
    const part = crops.slice(start, start + batch);
    const input = new Uint8Array(part.length * size * size * 3);
    part.forEach((crop, index) => input.set(crop, index * crop.length));
    const looks = first?.slice(start, start + batch);
    const others = looks && { first: { data: Float32Array.from(looks.flat(2)), dims: [part.length, looks[0].length, 2] } };
    const outputs = await engine.run(input, [part.length, size, size, 3], others);
    rows.push(...part.map((_, row) => rowOf(outputs, row)));
  }
  return rows;
}

/** Turn a crop by half a turn. */
function turnedHalf(crop) {
  const turned = new Uint8Array(crop.length);
  for (let from = 0, to = crop.length - 3; to >= 0; from += 3, to -= 3) turned.set(crop.subarray(from, from + 3), to);
  return turned;
}

/** Carry box, landmarks, mesh and rotation of a virtual view to units of the upright crop. */
function inUpright(out, view, crop, rollDeg = 0) {
  if (!view) return out;
  const [left, top, right, bottom] = out.box;
  const corners = toCropUnits([[left, top], [right, top], [left, bottom], [right, bottom]], view, crop);
  const edges = (pick) => [0, 1].map((axis) => pick(...corners.map((corner) => corner[axis])));
  return {
    ...out,
    ...(rollDeg ? rolled(out.rotation6d, corners, rollDeg) : { box: [...edges(Math.min), ...edges(Math.max)] }),
    landmarks: toCropUnits(points(out.landmarks, 2), view, crop).flat(),
    mesh: toCropUnits(points(out.mesh, 3), view, crop).flat(),
  };
}

/** Return the box of a face that fills the ellipse in a rolled one, and its rotation in the photo. */
function rolled(rotation6d, corners, rollDeg) {
  const middle = [0, 1].map((axis) => mean(corners.map((corner) => corner[axis])));
  const reach = [0, 1].map((axis) => Math.hypot(corners[1][axis] - corners[0][axis], corners[2][axis] - corners[0][axis]) / 2);
  const roll = rotationOfRoll(rollDeg);
  const columns = [rotation6d.slice(0, 3), rotation6d.slice(3)].flatMap((column) => apply(roll, column));
  return { box: [middle[0] - reach[0], middle[1] - reach[1], middle[0] + reach[0], middle[1] + reach[1]], rotation6d: columns };
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Return one row of each output of the network as plain numbers. */
export function rowOf(outputs, row) {
  const rows = Object.entries(outputs).map(([name, { dims, data }]) => {
    const length = dims.slice(1).reduce((product, side) => product * side, 1);
    return [name, Array.from(data.subarray(row * length, (row + 1) * length))];
  });
  return Object.fromEntries(rows);
}

/** Map crop units (0 at the centre, ±0.5 at the edges) to pixels of the photo, and scales to confidences. */
function inPhoto(crop, out, settings) {
  const side = crop[2] - crop[0];
  const centre = [(crop[0] + crop[2]) / 2, (crop[1] + crop[3]) / 2];
  const moved = (value, axis) => value * side + (axis < 2 ? centre[axis] : 0);
  const [landmarks, mesh] = [points(out.landmarks, 2), points(out.mesh, 3)];
  return withConfidence({
    score: out.score[0],
    box: out.box.map((value, edge) => moved(value, edge % 2)),
    landmarks: landmarks.map((point) => point.map(moved)),
    landmarksScale: out.landmarks_scale.map((scale) => scale * side),
    mesh: mesh.map((point) => point.map(moved)),
    meshScale: out.mesh_scale.map((scale) => scale * side),
    rotation: rotationFrom6d(out.rotation6d),
    rotation6d: out.rotation6d,
    square: square(crop, 1 / settings.crop_scale),
  }, settings);
}

/** Return a prediction with the confidences that follow from its points and their expected errors. */
export function withConfidence(one, { eye_corners: { ibug68, mesh478 }, near }) {
  return {
    ...one,
    landmarksConfidence: confidence(one.landmarks, ibug68, one.landmarksScale, near),
    meshConfidence: confidence(one.mesh, mesh478, one.meshScale, near),
  };
}

function points(flat, width) {
  return Array.from({ length: flat.length / width }, (_, index) => flat.slice(index * width, (index + 1) * width));
}

/** Return the probability that an exponential error of mean `scale` stays within `near` of the eye distance. */
function confidence(all, [first, second], scales, near) {
  const eyes = Math.hypot(all[first][0] - all[second][0], all[first][1] - all[second][1]);
  return scales.map((scale) => -Math.expm1((-near * eyes) / scale));
}
