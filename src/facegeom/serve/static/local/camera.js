/** Pinhole camera without distortion. Mirrors `facegeom.geometry.camera`. */

export class Camera {
  /**
   * @param {number} width of the photo, pixels
   * @param {number} height of the photo, pixels
   * @param {number} fovDeg angle of view across the longer side, degrees
   */
  constructor(width, height, fovDeg) {
    this.focalPx = Math.max(width, height) / 2 / Math.tan((fovDeg * Math.PI) / 360);
    this.centrePx = [(width - 1) / 2, (height - 1) / 2];
  }

  /** Return the point [x, y, z], millimetres, at depth z that projects to a pixel. */
  backProject([x, y], z) {
    return [((x - this.centrePx[0]) / this.focalPx) * z, ((y - this.centrePx[1]) / this.focalPx) * z, z];
  }
}
