/**
 * Face network on crops, with predictions mapped back to the photo. Mirrors `facegeom.models.face`.
 *
 * @typedef {object} Prediction of the network for one square, in pixels of the photo
 * @property {number} score in [0, 1]
 * @property {import("./boxes.js").Box} box
 * @property {number[][]} landmarks 68 points (x, y)
 * @property {number[]} landmarksConfidence 68, in [0, 1]
 * @property {number[][]} mesh 478 points (x, y, z)
 * @property {number[]} meshConfidence 478, in [0, 1]
 * @property {number[][]} rotation relative to the line of sight
 * @property {import("./boxes.js").Box} square crop box without its margin
 */

import { iou, square } from "./boxes.js";
import { cropSquares } from "./crop.js";
import { rotationFrom6d } from "./rotation.js";

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
   * @returns {Promise<Prediction[]>}
   */
  async predict(image, squares) {
    const { crop_px: size, crop_scale: scale, batch, outside, reducing_gap: gap } = this.settings;
    const crops = squares.map((one) => square(one, scale));
    const predictions = [];
    for (let start = 0; start < crops.length; start += batch) {
      const part = crops.slice(start, start + batch);
      const outputs = await this.engine.run(cropSquares(image, part, size, outside, gap), [part.length, size, size, 3]);
      predictions.push(...part.map((crop, row) => inPhoto(crop, rowOf(outputs, row), this.settings)));
    }
    return predictions;
  }

  /** Refine: crop again the faces whose box has drifted from the square, and predict again; scores stay. */
  async refine(image, predictions) {
    const drifted = predictions.filter((one) => iou(square(one.box), one.square) < this.settings.look_again_iou);
    const better = await this.predict(image, drifted.map((one) => square(one.box)));
    const refined = new Map(drifted.map((one, index) => [one, { ...better[index], score: one.score }]));
    return predictions.map((one) => refined.get(one) ?? one);
  }
}

/** Return one row of each output of the network as plain numbers. */
function rowOf(outputs, row) {
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
  const { ibug68, mesh478 } = settings.eye_corners;
  return {
    score: out.score[0],
    box: out.box.map((value, edge) => moved(value, edge % 2)),
    landmarks: landmarks.map((point) => point.map(moved)),
    landmarksConfidence: confidence(landmarks, ibug68, out.landmarks_scale, settings.near),
    mesh: mesh.map((point) => point.map(moved)),
    meshConfidence: confidence(mesh, mesh478, out.mesh_scale, settings.near),
    rotation: rotationFrom6d(out.rotation6d),
    square: square(crop, 1 / settings.crop_scale),
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
