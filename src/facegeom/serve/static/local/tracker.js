/**
 * Faces of a video, followed from frame to frame. Mirrors `facegeom.video.tracking` with the parts that one camera needs: a
 * face is predicted at its last box, in a crop that rolls with it; the detector rests while all is well.
 */

import { iou, nms, square } from "./boxes.js";
import { FaceSmoother } from "./smoothing.js";

/** Constants of `facegeom.video.tracking` and `facegeom.video.matching`, by their names there. */
export const TRACKING = {
  DETECT_EVERY: 30, KEEP_SCORE: 0.5, MIN_SIDE_PX: 4, MATCH_IOU: 0.3, MAX_ROLL_STEP_DEG: 60, SEARCH_S: 0.3, RETRY_S: 0.15,
  UPRIGHT_DEG: 25, ROLL_STEP_DEG: 30,
};

const [FOREHEAD, CHIN] = [10, 152]; // points of the mesh
const TICK_S = 1e-6;

export class FaceTracker {
  /** @param {import("./analyzer.js").FaceAnalyzer} analyzer detects and predicts the faces */
  constructor(analyzer) {
    this.analyzer = analyzer;
    this.smoother = new FaceSmoother(analyzer);
    this.nextId = 0;
    this.forget();
  }

  /** Begin a new scene: no face is known, and the next frame is searched. */
  forget() {
    this.tracks = [];
    this.size = "";
    this.missingSinceS = this.detectedS = -Infinity;
    this.framesSinceDetection = 0;
  }

  /**
   * Return the faces of the next frame: the JSON of `Faces.to_dict`, with the `ids` of the faces, ascending.
   *
   * @param {import("./resample.js").Image} pixels
   * @param {number} timeS time of the frame, seconds
   * @param {import("./analyzer.js").Options} options
   */
  async track(pixels, timeS, options) {
    const size = `${pixels.width} ${pixels.height}`;
    const isBack = this.tracks.some((track) => timeS < track.timeS - TICK_S); // the video began anew
    if (size !== this.size || isBack) this.forget();
    if (!this.size) [this.size, this.missingSinceS] = [size, timeS];
    const view = this.analyzer.view(pixels, options);
    await this.follow(view, timeS);
    this.framesSinceDetection++;
    if (this.needsDetection(timeS, view.chosen.max_faces)) {
      await this.addNewFaces(view, timeS);
      [this.framesSinceDetection, this.detectedS] = [0, timeS];
    }
    this.tracks.sort((one, other) => one.id - other.id);
    const faces = await this.analyzer.finish(view, this.tracks.map(({ face }) => face));
    const ids = this.tracks.map(({ id }) => id);
    const smooth = this.smoother.smooth(faces, ids, timeS, view.camera);
    return { ...this.analyzer.toDict(view, smooth), ids };
  }

  /** Return whether the detector has to run on this frame. */
  needsDetection(timeS, maxFaces) {
    if (maxFaces && this.tracks.length >= maxFaces) return false;
    if (this.framesSinceDetection >= TRACKING.DETECT_EVERY) return true;
    if (this.tracks.length && !Number.isFinite(this.missingSinceS)) return false;
    const isRecent = timeS - this.missingSinceS <= TRACKING.SEARCH_S + TICK_S;
    if (!isRecent && this.tracks.length) this.missingSinceS = -Infinity; // it does not come back
    return isRecent || timeS - this.detectedS >= TRACKING.RETRY_S - TICK_S;
  }

  /** Predict the known faces where they were; those that are lost are forgotten. */
  async follow(view, timeS) {
    if (!this.tracks.length) return;
    const squares = this.tracks.map(({ face }) => square(face.box));
    const found = await this.analyzer.faceNet.predict(view.image, squares, view.lens, this.tracks.map(({ cropRollDeg }) => cropRollDeg));
    const kept = found.flatMap((face, index) => (this.shows(this.tracks[index], face) ? [index] : []));
    const scores = kept.map((index) => found[index].score);
    const alone = nms(kept.map((index) => found[index].box), scores, TRACKING.MATCH_IOU).map((place) => kept[place]);
    if (alone.length < this.tracks.length) this.missingSinceS = timeS;
    this.tracks = alone.map((index) => continued(this.tracks[index], found[index], timeS));
  }

  /** Return whether a prediction shows the face of a track: a face, large enough, not read upside down. */
  shows(track, { score, box: [left, top, right, bottom], mesh }) {
    const turned = angleBetweenDeg(rollInImage(mesh), track.rollDeg);
    return score >= TRACKING.KEEP_SCORE && Math.min(right - left, bottom - top) >= TRACKING.MIN_SIDE_PX && turned <= TRACKING.MAX_ROLL_STEP_DEG;
  }

  /** Detect, and start tracks for the faces that match none. */
  async addNewFaces(view, timeS) {
    const detected = await this.analyzer.detect(view, this.tracks.map(({ face }) => face.box));
    const fresh = detected.filter(({ box }) => this.tracks.every(({ face }) => iou(box, face.box) < TRACKING.MATCH_IOU));
    const room = (view.chosen.max_faces ?? Infinity) - this.tracks.length;
    for (const face of fresh.slice(0, room)) {
      this.tracks.push(continued({ id: this.nextId++, cropRollDeg: 0 }, face, timeS));
      this.missingSinceS = -Infinity;
    }
  }
}

/** Return a track with its face as a frame shows it. */
function continued({ id, cropRollDeg }, face, timeS) {
  const rollDeg = rollInImage(face.mesh);
  return { id, face, timeS, rollDeg, cropRollDeg: cropRoll(rollDeg, cropRollDeg) };
}

/** Return the roll of the next crop of a face: that of the last crop as long as it is near enough. */
export function cropRoll(rollDeg, beforeDeg) {
  if (angleBetweenDeg(rollDeg, beforeDeg) <= TRACKING.UPRIGHT_DEG) return beforeDeg;
  return (((Math.round(rollDeg / TRACKING.ROLL_STEP_DEG) * TRACKING.ROLL_STEP_DEG) % 360) + 360) % 360;
}

/** Return the roll of a mesh, degrees clockwise: from the forehead to the chin. */
function rollInImage(mesh) {
  const [across, down] = [0, 1].map((axis) => mesh[CHIN][axis] - mesh[FOREHEAD][axis]);
  return (Math.atan2(-across, down) * 180) / Math.PI;
}

function angleBetweenDeg(first, second) {
  return Math.abs(((((first - second + 180) % 360) + 360) % 360) - 180);
}

