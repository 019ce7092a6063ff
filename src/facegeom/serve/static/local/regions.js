/** A closer look at the eyes and at the mouth. Mirrors `facegeom.models.regions`. */

import { batched, withConfidence } from "./face.js";
import { cropAffine } from "./rotated_crop.js";

export class RegionNet {
  /**
   * @param {import("./engine.js").Engine} engine of the region's network
   * @param {object} settings the region's part of "regions" of /model.json
   * @param {object} face the part "face" of /model.json
   */
  constructor(engine, settings, face) {
    Object.assign(this, { engine, settings, face });
  }

  /**
   * Look at the region of each face; return the faces with its points replaced, and what is seen joined to `features`.
   *
   * @param {import("./pyramid.js").Pyramid} image
   * @param {import("./face.js").Prediction[]} faces
   * @returns {Promise<import("./face.js").Prediction[]>}
   */
  async look(image, faces) {
    const { crop_px: size, spans } = this.settings;
    const frames = faces.flatMap((face) => spans.map((ends, side) => this.frame(face, ends, side)));
    const crops = frames.map((frame) => cropAffine(image, fromCrop(frame, size), size));
    const first = frames.map((frame, index) => this.first(faces[Math.floor(index / spans.length)], frame, index % spans.length));
    const outputs = await batched(this.engine, crops, size, this.face.batch, first);
    const seen = frames.map((frame, index) => ({ frame, ...outputs[index] }));
    return faces.map((face, index) => {
      const own = seen.slice(index * spans.length, (index + 1) * spans.length);
      const features = [...(face.features ?? []), ...own.flatMap((side) => side.features)];
      return { ...withConfidence(this.replaced(face, own), this.face), features };
    });
  }

  /** Return the map (2, 3) from units of the crop, upright on the face, to pixels; the second side is mirrored. */
  frame({ mesh, rotation }, spans, side) {
    const lengths = spans.map(([from, to]) => Math.hypot(...mesh[from].map((value, axis) => value - mesh[to][axis])));
    const length = Math.max(...lengths, 1e-6) * this.settings.scale;
    const sign = side === 1 ? -1 : 1;
    const size = Math.max(Math.hypot(rotation[0][1], rotation[1][1]), 1e-6);
    const down = [rotation[0][1] / size, rotation[1][1] / size];
    const ends = spans.flat().map((index) => mesh[index]);
    const centre = [0, 1].map((axis) => ends.reduce((sum, end) => sum + end[axis], 0) / ends.length);
    return [
      [sign * down[1] * length, down[0] * length, centre[0]],
      [-sign * down[0] * length, down[1] * length, centre[1]],
    ];
  }

  /** Return the points of one side as the face network sees them, in units of the region's crop. */
  first({ mesh, landmarks }, [[a, b, x], [c, d, y]], side) {
    const { mesh: ofMesh, ibug68: ofIbug68 } = this.settings;
    const own = [...ofMesh[side].map((index) => mesh[index]), ...ofIbug68[side].map((index) => landmarks[index])];
    const area = a * d - b * c;
    return own.map((point) => {
      const [across, down] = [point[0] - x, point[1] - y];
      return [(d * across - b * down) / area, (a * down - c * across) / area];
    });
  }

  /** Replace the region's points of a face by those of its crops. */
  replaced(face, seen) {
    const [mesh, landmarks] = [[...face.mesh], [...face.landmarks]];
    seen.forEach(({ frame, points }, side) => {
      const place = (row) => frame.map(([across, down, shift]) => across * points[2 * row] + down * points[2 * row + 1] + shift);
      const [ofMesh, ofIbug68] = [this.settings.mesh[side], this.settings.ibug68[side]];
      ofMesh.forEach((index, row) => {
        mesh[index] = [...place(row), mesh[index][2]];
      });
      ofIbug68.forEach((index, position) => {
        landmarks[index] = place(ofMesh.length + position);
      });
    });
    return { ...face, mesh, landmarks };
  }
}

/** Return the map from a crop's pixels, centres at integers, for one from its units. */
function fromCrop(frame, size) {
  const shift = 0.5 / size - 0.5;
  return frame.map(([across, down, move]) => [across / size, down / size, (across + down) * shift + move]);
}
