/** Analyzer that joins the stages. Mirrors `facegeom.analyzer`; returns the JSON of `Faces.to_dict`. */

import { nms, overlapOfSmaller, square } from "./boxes.js";
import { Camera } from "./camera.js";
import { OnePassDetector, fuse } from "./detector.js";
import { download, request } from "./download.js";
import { Engine, RUNTIME_URL, prepare } from "./engine.js";
import { InputError } from "./errors.js";
import { FaceNet } from "./face.js";
import { toDict } from "./json_io.js";
import { read } from "./photo.js";
import { place } from "./placement.js";
import { Pyramid } from "./pyramid.js";
import { product, rotationToLineOfSight } from "./rotation.js";

const NETWORKS = ["onepass", "face"];

/**
 * @typedef {object} Options with the defaults of `FaceAnalyzer`
 * @property {number | null} [min_face] height of the smallest face to find, pixels
 * @property {number | null} [max_faces] largest number of faces, best score first
 * @property {number} [min_score] smallest score of a face, in [0, 1]
 * @property {number | null} [fov_deg] angle of view across the photo's longer side, degrees; EXIF is not read
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
  }

  /**
   * Load the networks and ONNX Runtime from the page's server.
   *
   * @param {string} base address of the page
   * @param {(loaded: number, total: number) => void} onProgress bytes
   */
  static async load(base, onProgress) {
    const model = await (await request(new URL("model.json", base))).json();
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
    const chosen = checked(options, this.settings.options);
    const { max_pixels: maxPixels, fov_deg: defaultFov } = this.settings;
    const image = new Pyramid(await read(blob, maxPixels));
    const { width, height } = image;
    const minFace = chosen.min_face ?? this.defaultMinFace(image);
    const candidates = await this.detector.detect(image, minFace);
    const predictions = await this.verify(image, candidates, chosen.min_score);
    const faces = await this.faceNet.refine(image, this.distinct(predictions, chosen));
    const camera = new Camera(width, height, chosen.fov_deg ?? defaultFov);
    return toDict(faces.map((face) => this.placed(face, camera)), { file: blob.name ?? null, width, height });
  }

  /** Return the default of `min_face`, pixels. */
  defaultMinFace({ width, height }) {
    return Math.max(this.settings.min_face_px, this.settings.min_face_share * Math.max(width, height));
  }

  /** Verify the candidates: NMS survivors first, then the remaining ones that overlap no face found. */
  async verify(image, candidates, minScore) {
    const { nested } = this.settings;
    const squares = candidates.map((one) => one.square);
    const survivors = nms(squares, candidates.map((one) => one.score), nested, overlapOfSmaller);
    const first = await this.predict(image, survivors.map((index) => candidates[index]));
    const faces = first.filter((one) => one.score >= minScore).map((one) => square(one.box));
    const free = (box) => faces.every((face) => overlapOfSmaller(box, face) <= nested);
    const rest = candidates.filter((one, index) => !survivors.includes(index) && free(one.square));
    return [...first, ...(await this.predict(image, rest))];
  }

  /** Predict candidates; their scores are fused from both networks. */
  async predict(image, candidates) {
    const predictions = await this.faceNet.predict(image, candidates.map((one) => one.square));
    const { evidence } = this.detector.settings;
    return predictions.map((prediction, index) => ({
      ...prediction,
      score: Math.fround(fuse(prediction.score, candidates[index].score, evidence)),
    }));
  }

  /** Return the faces among the predictions, without duplicates, best score first. */
  distinct(predictions, { min_score: minScore, max_faces: maxFaces }) {
    const faces = predictions.filter((one) => one.score >= minScore);
    const boxes = faces.map((one) => one.box);
    const kept = nms(boxes, faces.map((one) => one.score), this.settings.same_face_iou);
    return kept.slice(0, maxFaces ?? kept.length).map((index) => faces[index]);
  }

  /** Add millimetres and the rotation in the camera frame. */
  placed(face, camera) {
    const { meshMm, translationMm } = place(face.mesh, this.canonicalMm, camera);
    return { ...face, meshMm, translationMm, rotation: product(rotationToLineOfSight(translationMm), face.rotation) };
  }
}

/** Check the ranges of the options and fill in the defaults. */
function checked(options, known) {
  const chosen = {};
  for (const [name, { default: fallback, type, minimum, maximum }] of Object.entries(known)) {
    const value = options[name] ?? fallback;
    const usable = type === "integer" ? Number.isInteger(value) : Number.isFinite(value);
    if (value !== null && !(usable && value >= minimum && value <= maximum)) {
      const kind = type === "integer" ? "a whole number" : "a number";
      throw new InputError(`${name}: expected ${kind} from ${minimum} to ${maximum}, got ${value}`);
    }
    chosen[name] = value;
  }
  return chosen;
}
