/** Analyzer that joins the stages. Mirrors `facegeom.analyzer`; returns the JSON of `Faces.to_dict`. */

import { nms, overlapOfSmaller, square } from "./boxes.js";
import { Camera } from "./camera.js";
import { OnePassDetector, fuse } from "./detector.js";
import { download, request } from "./download.js";
import { Engine, RUNTIME_URL, prepare } from "./engine.js";
import { InputError } from "./errors.js";
import { ExpressionNet } from "./expression.js";
import { FaceNet } from "./face.js";
import { toDict } from "./json_io.js";
import { oriented, read } from "./photo.js";
import { place } from "./placement.js";
import { Pyramid } from "./pyramid.js";
import { RegionNet } from "./regions.js";
import { bestTurn } from "./turning.js";

const NETWORKS = ["onepass", "face", "eyes", "mouth", "expression"];
const ORIENTATION_OF_TURN = { 90: 6, 180: 3, 270: 8 };

/**
 * @typedef {object} Options with the defaults of `FaceAnalyzer`
 * @property {number | null} [min_face] height of the smallest face to find, pixels
 * @property {number | null} [max_faces] largest number of faces, best score first
 * @property {number} [min_score] smallest score of a face, in [0, 1]
 * @property {number | null} [fov_deg] angle of view across the photo's longer side, degrees;
 *   by default that of the photo's EXIF, else 50
 * @property {"exif" | "auto"} [orientation] which way up the photo is: as EXIF says, or found out where no face is sure
 */

export class FaceAnalyzer {
  /**
   * @param {object} model the content of /model.json
   * @param {Record<string, Engine>} engines by name
   */
  constructor(model, engines) {
    this.settings = model.analyzer;
    this.canonicalMm = model.canonical_mm;
    this.detector = new OnePassDetector(engines.onepass, model.detection);
    this.faceNet = new FaceNet(engines.face, model.face);
    this.expressionNet = new ExpressionNet(engines.expression, model.canonical_mm);
    this.regionNets = Object.entries(model.regions).map(([name, region]) => new RegionNet(engines[name], region, model.face));
  }

  /**
   * Load the networks and ONNX Runtime from the page's server.
   *
   * @param {string} base address of the page
   * @param {(loaded: number, total: number) => void} onProgress bytes
   */
  static async load(base, onProgress) {
    const model = await (await request(new URL("model.json", base))).json();
    if (!isOfVersion(model.version)) throw new Error("the service was updated since this page was opened; reload the page");
    const networks = NETWORKS.map((name) => ({ url: new URL(`weights/${model.files[name]}`, base), bytes: model.bytes[name] }));
    const runtime = { url: RUNTIME_URL, bytes: model.bytes.runtime };
    const [binary, ...files] = await download([runtime, ...networks], onProgress);
    prepare(binary);
    const engines = {};
    for (const [index, name] of NETWORKS.entries()) engines[name] = await Engine.open(name, files[index]);
    return new FaceAnalyzer(model, engines);
  }

  /**
   * Find the faces of one photo, best score first; return the JSON of `Faces.to_dict`.
   *
   * @param {Blob} blob an encoded image
   * @param {Options} options
   */
  async analyze(blob, options = {}) {
    const { max_pixels: maxPixels, exif, turning } = this.settings;
    checked(options, this.settings.options); // before the photo is decoded
    const image = await read(blob, maxPixels, exif);
    const view = this.view(image, options, image.fovDeg);
    const find = (upright) => this.find(this.view(upright, options, image.fovDeg));
    let found = { faces: await this.find(view), turnedDeg: 0 };
    if (view.chosen.orientation === "auto") {
      found = await bestTurn(image, found.faces, (turn) => find(oriented(image, ORIENTATION_OF_TURN[turn])), turning);
    }
    return this.toDict(view, found.faces, { file: blob.name ?? null, turnedDeg: found.turnedDeg });
  }

  /**
   * Open an image for the stages.
   *
   * @param {import("./resample.js").Image} pixels
   * @param {Options} options
   * @param {number | null} exifFov angle of view that the photo's EXIF says, degrees
   */
  view(pixels, options = {}, exifFov = null) {
    const chosen = checked(options, this.settings.options);
    const image = new Pyramid(pixels);
    const { width, height } = image;
    const fovDeg = chosen.fov_deg ?? exifFov ?? this.settings.fov_deg;
    const fovSource = chosen.fov_deg !== null ? "given" : exifFov !== null ? "exif" : "assumed";
    const camera = new Camera(width, height, fovDeg);
    const minFacePx = Math.min(...this.faceSizes(image, chosen.min_face));
    return { image, camera, lens: fovSource === "assumed" ? null : camera, chosen, about: { width, height, fovDeg, fovSource, minFacePx } };
  }

  /** Return the JSON of `Faces.to_dict`. */
  toDict({ about }, faces, { file = null, turnedDeg = 0 } = {}) {
    return toDict(faces, { ...about, file, turnedDeg }, this.settings.expression_names);
  }

  /** Find the faces of an image as it is. */
  async find(view) {
    return this.finish(view, await this.detect(view));
  }

  /**
   * Detect, verify, suppress duplicates, refine and confirm the faces of an image.
   *
   * @param {object} view
   * @param {import("./boxes.js").Box[]} known boxes of faces that need not be found
   * @returns {Promise<import("./face.js").Prediction[]>}
   */
  async detect(view, known = []) {
    const { image, lens, chosen } = view;
    const detected = await this.detector.detect(image, ...this.faceSizes(image, chosen.min_face));
    const isNew = ({ square: box }) => known.every((face) => overlapOfSmaller(box, square(face)) <= this.settings.nested);
    const predictions = await this.verify(view, detected.filter(isNew), chosen.min_score);
    const refined = await this.faceNet.refine(image, this.distinct(predictions, chosen.min_score), lens);
    const distinct = this.distinct(refined, chosen.min_score);
    const confirmed = await this.faceNet.confirm(image, distinct, lens);
    return confirmed.slice(0, chosen.max_faces ?? confirmed.length);
  }

  /** Look closer at eyes and mouth, place, and see what the faces do. */
  async finish({ image, camera }, predictions) {
    let faces = predictions;
    for (const regionNet of this.regionNets) faces = await regionNet.look(image, faces);
    return this.expressionNet.look(faces.map((face) => this.placed(face, camera)));
  }

  /** Return the smallest faces to look for everywhere and where something hints at small ones, pixels. */
  faceSizes({ width, height }, minFace) {
    const { face_size: everywhere, closest_size: closest } = this.settings;
    return [everywhere, closest].map(([px, share]) => minFace ?? Math.max(px, share * Math.max(width, height)));
  }

  /** Verify the candidates: NMS survivors first, then the remaining ones that overlap no face found. */
  async verify(view, candidates, minScore) {
    const { nested } = this.settings;
    const squares = candidates.map((one) => one.square);
    const survivors = nms(squares, candidates.map((one) => one.score), nested, overlapOfSmaller);
    const first = await this.predict(view, survivors.map((index) => candidates[index]));
    const faces = first.filter((one) => one.score >= minScore).map((one) => square(one.box));
    const free = (box) => faces.every((face) => overlapOfSmaller(box, face) <= nested);
    const rest = candidates.filter((one, index) => !survivors.includes(index) && free(one.square));
    return [...first, ...(await this.predict(view, rest))];
  }

  /** Predict candidates; their scores are fused from both networks. */
  async predict({ image, lens }, candidates) {
    const predictions = await this.faceNet.predict(image, candidates.map((one) => one.square), lens);
    const { evidence } = this.detector.settings;
    return predictions.map((prediction, index) => ({
      ...prediction,
      score: Math.fround(fuse(prediction.score, candidates[index].score, evidence)),
    }));
  }

  /** Return the faces among the predictions, without duplicates, best score first. */
  distinct(predictions, minScore) {
    const faces = predictions.filter((one) => one.score >= minScore);
    const boxes = faces.map((one) => one.box);
    return nms(boxes, faces.map((one) => one.score), this.settings.same_face_iou).map((index) => faces[index]);
  }

  /** Add millimetres. */
  placed(face, camera) {
    return { ...face, ...place(face.mesh, this.canonicalMm, camera) };
  }
}

/** Return whether this file was served with a version of the page; one without a version fits all. */
function isOfVersion(version) {
  const own = /\/static\/([0-9a-f]{12})\//.exec(import.meta.url);
  return !own || own[1] === version;
}

/** Check the options and fill in the defaults. */
function checked(options, known) {
  return Object.fromEntries(Object.entries(known).map(([name, { default: fallback, ...limits }]) => {
    const value = options[name] ?? fallback;
    const expected = value === null ? null : mistake(value, limits);
    if (expected) throw new InputError(`${name}: expected ${expected}, got ${value}`);
    return [name, value];
  }));
}

/** Return what is expected of a value; null if it is that. */
function mistake(value, { type, enum: names, minimum, maximum = Infinity }) {
  if (names) return names.includes(value) ? null : `one of ${names.join(", ")}`;
  const whole = type === "integer";
  const usable = (whole ? Number.isInteger(value) : Number.isFinite(value)) && value >= minimum && value <= maximum;
  return usable ? null : `${whole ? "a whole number" : "a number"} from ${minimum} to ${maximum}`;
}
