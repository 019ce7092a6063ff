/** Image pyramid with cached levels, shared by the stages. Mirrors `facegeom.image.pyramid`. */

import { reduce } from "./resample.js";

export class Levels {
  /** @param {import("./resample.js").Picture} whole */
  constructor(whole) {
    this.whole = whole;
    this.copies = new Map([[1, whole]]);
  }

  /** Return a pyramid unchanged; wrap an image. */
  static of(picture) {
    return picture instanceof Levels ? picture : new Levels(picture);
  }

  get width() {
    return this.whole.width;
  }

  get height() {
    return this.whole.height;
  }

  /** Return the level with an integer downscale factor: each pixel is the mean of `factor` x `factor` pixels. */
  at(factor) {
    if (!this.copies.has(factor)) {
      const nearest = Math.max(...[...this.copies.keys()].filter((each) => factor % each === 0));
      const step = factor / nearest;
      this.copies.set(factor, reduce(this.copies.get(nearest), [step, step]));
    }
    return this.copies.get(factor);
  }

  /** Return the coarsest cached level with factor <= `most`, and the factor. */
  smallest(most) {
    const factor = Math.max(...[...this.copies.keys()].filter((each) => each <= Math.max(1, most)));
    return { copy: this.copies.get(factor), factor };
  }
}
