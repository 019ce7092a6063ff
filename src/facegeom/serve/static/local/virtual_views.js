/** Crops as a camera sees them that looks straight at the face. Mirrors `facegeom.models.virtual_views`. */

import { product, rotationOfRoll, rotationToLineOfSight } from "./rotation.js";
import { cropProjected, project } from "./rotated_crop.js";

const RADIANS = Math.PI / 180;

/**
 * Make the virtual camera of a crop: the homography from crop units of its view to pixels of the image.
 *
 * @param {import("./boxes.js").Box} crop a square
 * @param {import("./camera.js").Camera | null} lens null where the angle of view is only assumed
 * @param {object} views the part "face.views" of /model.json: crops near the optical axis have no view, nor have crops so
 *   large and far from it that a corner of the view would lie beside the camera
 * @param {number} rollDeg of the camera, degrees clockwise
 * @returns {number[][] | null}
 */
export function virtualView(crop, lens, views, rollDeg = 0) {
  const view = viewAside(crop, lens, views);
  if (!rollDeg) return view;
  const [left, top, right, bottom] = crop;
  const upright = [[right - left, 0, (left + right) / 2], [0, right - left, (top + bottom) / 2], [0, 0, 1]];
  return product(view ?? upright, rotationOfRoll(rollDeg));
}

function viewAside([left, top, right, bottom], lens, { largest_angle_deg: nearest, largest_slope: slope }) {
  if (!lens) return null;
  const line = lens.backProject([(left + right) / 2, (top + bottom) / 2], 1);
  const cosine = 1 / Math.hypot(...line);
  const reach = Math.sqrt(((1 - cosine ** 2) * cosine) / 2) * (right - left);
  if (!(cosine < Math.cos(nearest * RADIANS) && reach < slope * lens.focalPx)) return null;
  const side = ((right - left) * cosine ** 1.5) / lens.focalPx;
  const scaled = rotationToLineOfSight(line).map(([x, y, z]) => [x * side, y * side, z]);
  const [x, y] = lens.centrePx;
  return product([[lens.focalPx, 0, x], [0, lens.focalPx, y], [0, 0, 1]], scaled);
}

/** Cut a view: (size, size, 3). */
export function cropView(image, imageFromUnit, sizePx, { outside, largest_shrink: shrink, gap }) {
  const shift = 0.5 / sizePx - 0.5;
  const unitFromCrop = [[1 / sizePx, 0, shift], [0, 1 / sizePx, shift], [0, 0, 1]];
  return cropProjected(image, product(imageFromUnit, unitFromCrop), sizePx, outside, shrink, gap);
}

/** Map points in units of a view to units of the upright crop; what follows x and y stays. */
export function toCropUnits(points, imageFromUnit, [left, top, right, bottom]) {
  return points.map(([x, y, ...rest]) => {
    const seen = project(imageFromUnit, [x, y]);
    return [(seen[0] - (left + right) / 2) / (right - left), (seen[1] - (top + bottom) / 2) / (bottom - top), ...rest];
  });
}
