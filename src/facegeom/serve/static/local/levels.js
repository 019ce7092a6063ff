/** A picture and smaller copies of it, which the stages share. Mirrors `facegeom.image.pyramid`. */

import { reduce } from "./resample.js";

export class Levels {
  /** @param {import("./resample.js").Picture} whole */
  constructor(whole) {
    this.whole = whole;
    this.copies = new Map([[1, whole]]);
  }

  /** The same, or a picture without copies yet. */
  static of(picture) {
    return picture instanceof Levels ? picture : new Levels(picture);
  }

  get width() {
    return this.whole.width;
  }

  get height() {
    return this.whole.height;
  }

  /** The copy of which a pixel is the mean of `factor` x `factor` of the picture's. */
  at(factor) {
    if (!this.copies.has(factor)) {
      const nearest = Math.max(...[...this.copies.keys()].filter((each) => factor % each === 0));
      const step = factor / nearest;
      this.copies.set(factor, reduce(this.copies.get(nearest), [step, step]));
    }
    return this.copies.get(factor);
  }

  /** Of the copies that were made the one of the largest factor up to `most`, and this factor. */
  smallest(most) {
    const factor = Math.max(...[...this.copies.keys()].filter((each) => each <= Math.max(1, most)));
    return { copy: this.copies.get(factor), factor };
  }
}
