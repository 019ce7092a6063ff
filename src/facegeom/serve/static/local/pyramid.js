/** Image pyramid with cached levels, shared by the stages. Mirrors `facegeom.image.pyramid`. */

import { reduce } from "./resample.js";

export class Pyramid {
  /** @param {import("./resample.js").Image} image */
  constructor(image) {
    this.width = image.width;
    this.height = image.height;
    this.levels = new Map([[1, image]]);
  }

  /** Return a pyramid unchanged; wrap an image. */
  static of(image) {
    return image instanceof Pyramid ? image : new Pyramid(image);
  }

  /** Return the level with an integer downscale factor: each pixel is the mean of `factor` x `factor` pixels. */
  level(factor) {
    if (!this.levels.has(factor)) {
      const nearest = Math.max(...[...this.levels.keys()].filter((each) => factor % each === 0));
      const step = factor / nearest;
      this.levels.set(factor, reduce(this.levels.get(nearest), [step, step]));
    }
    return this.levels.get(factor);
  }

  /** Return the pixels left, top, right and bottom of a level without making the whole level. */
  part(factor, box) {
    const edges = box.map((edge, side) => Math.min(edge * factor, side % 2 ? this.height : this.width));
    return reduce(this.levels.get(1), [factor, factor], edges);
  }

  /** Return the coarsest cached level with factor <= `largest`, and the factor. */
  coarsest(largest) {
    const factor = Math.max(...[...this.levels.keys()].filter((each) => each <= Math.max(1, largest)));
    return { level: this.levels.get(factor), factor };
  }
}
