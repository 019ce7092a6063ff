/** Colours of the overlay, equal to those of `facegeom.drawing`. */

const DOUBTFUL = [255, 48, 48];
const UNSURE = [255, 214, 64];
const SURE = [64, 255, 128];

export const AXES = ["#ff4040", "#40dc60", "#4888ff"];
export const GAZE = "#ff66e6";
export const SHADE = "rgb(0 0 0 / 0.6)";
export const BOX = "rgb(255 255 255 / 0.9)";

/** Return the colour of a confidence in [0, 1], from red over yellow to green: [R, G, B] in [0, 255]. */
export function channels(confidence) {
  const [low, high] = confidence < 0.5 ? [DOUBTFUL, UNSURE] : [UNSURE, SURE];
  const fraction = confidence < 0.5 ? confidence * 2 : confidence * 2 - 1;
  return low.map((channel, index) => channel + (high[index] - channel) * fraction);
}

/** Return the colour of a confidence as CSS text. */
export function colour(confidence, alpha = 1) {
  return `rgb(${channels(confidence).map(Math.round).join(" ")} / ${alpha})`;
}
