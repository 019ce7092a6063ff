/** `<facegeom-view>`: a photo or a running video with its faces drawn over it. */

import { analyze, follow } from "./index.js";
import { json } from "./load.js";
import { rgbOf } from "./run.js";
import { drawPhoto, whole } from "./page/overlay.js";
import { settings } from "./settings.js";

const LAYERS = ["contours", "box", "points", "mesh", "axes", "gaze"];

export class FacegeomView extends HTMLElement {
  static observedAttributes = ["src", "layers"];

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.innerHTML = "<style>:host{display:inline-block}canvas{max-width:100%;height:auto;display:block}</style><canvas></canvas>";
    this.canvas = /** @type {HTMLCanvasElement} */ (root.querySelector("canvas"));
    /** @type {any} */
    this.result = null;
    /** Options of the search, as of `analyze`. */
    this.options = {};
    this.shown = 0;
  }

  /** Faces of what is shown, as `analyze` gives them; null before. */
  get faces() {
    return this.result?.faces ?? null;
  }

  attributeChangedCallback(name, _old, value) {
    if (name === "src" && value) this.showAddress(value);
    else this.draw();
  }

  /** Show the photo at an address. */
  async showAddress(address) {
    const number = ++this.shown;
    try {
      const response = await fetch(address);
      if (!response.ok) throw new Error(`cannot load ${address}: status ${response.status}`);
      const blob = await response.blob();
      if (number === this.shown) await this.show(blob);
    } catch (error) {
      this.report(error);
    }
  }

  /** Show a file, an image, a canvas or pixels; return the faces. */
  async show(input) {
    const number = ++this.shown;
    const picture = await pictureOf(input);
    const result = await analyze(input instanceof Blob ? input : picture, this.options);
    if (number === this.shown) this.present(picture, result);
    else picture.close();
    return result;
  }

  /** Follow the faces of a playing video until it ends, or until something else is shown. */
  async play(video) {
    const number = ++this.shown;
    for (let restart = true; number === this.shown && !video.ended; restart = false) {
      const picture = await createImageBitmap(video);
      const result = await follow(picture, { timeS: video.currentTime, restart, ...this.options });
      if (number === this.shown) this.present(picture, result);
      else picture.close();
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  }

  present(picture, result) {
    this.picture?.close();
    this.picture = picture;
    this.result = result;
    this.draw();
    this.dispatchEvent(new CustomEvent("faces", { detail: result }));
  }

  async draw() {
    if (!this.picture) return;
    const topology = await this.topology();
    if (!topology) return;
    const wanted = (this.getAttribute("layers") ?? "contours").split(/[\s,]+/);
    const show = Object.fromEntries(LAYERS.map((layer) => [layer, wanted.includes(layer)]));
    const { width, height } = this.picture;
    Object.assign(this.canvas, { width, height });
    drawPhoto(this.canvas, this.picture, this.result.faces, { selected: 0, show, part: whole(this.picture), topology });
  }

  /** Return the lines of the mesh; nothing after an error, which is reported. */
  async topology() {
    try {
      return await (FacegeomView.topology ??= json("topology.json", settings.data));
    } catch (error) {
      FacegeomView.topology = undefined;
      this.report(error);
      return null;
    }
  }

  report(error) {
    this.dispatchEvent(new CustomEvent("error", { detail: error }));
  }
}

/** @type {Promise<any> | undefined} */
FacegeomView.topology = undefined;

/** Return a picture that a canvas draws. */
async function pictureOf(input) {
  if (input instanceof HTMLImageElement) await input.decode();
  if (ArrayBuffer.isView(input?.data)) {
    const { width, height, data } = rgbOf(input);
    const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
    for (let from = 0, to = 0; from < data.length; from += 3, to += 4) rgba.set(data.subarray(from, from + 3), to);
    return createImageBitmap(new ImageData(rgba, width, height));
  }
  return createImageBitmap(input, { imageOrientation: "from-image" });
}

if (!customElements.get("facegeom-view")) customElements.define("facegeom-view", FacegeomView);
