/** Colours over a photo, the same as in the overlay that facegeom draws by itself. */

const DOUBTFUL = [255, 48, 48];
const UNSURE = [255, 214, 64];
const SURE = [64, 255, 128];

export const AXES = ["#ff4040", "#40dc60", "#4888ff"];
export const SHADE = "rgb(0 0 0 / 0.6)";
export const BOX = "rgb(255 255 255 / 0.9)";

/** Red, green, blue in 0…255 of a confidence in 0…1: red over yellow to green. */
export function channels(confidence) {
  const [low, high] = confidence < 0.5 ? [DOUBTFUL, UNSURE] : [UNSURE, SURE];
  const share = confidence < 0.5 ? confidence * 2 : confidence * 2 - 1;
  return low.map((channel, index) => channel + (high[index] - channel) * share);
}

/** The same as CSS writes it. */
export function colour(confidence, alpha = 1) {
  return `rgb(${channels(confidence).map(Math.round).join(" ")} / ${alpha})`;
}
