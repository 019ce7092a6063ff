/** The photo on the page: zoom, pan, the point under the pointer, choice of a face by a click. */

import { drawPhoto, sizeOf, whole } from "./overlay.js";

const STEP = 1.3; // of one press of a zoom key
const CLOSEST_PX = 24; // smallest part that is shown, pixels of the photo
const REACH_PX = 14; // from the pointer to a point, CSS pixels
const CLICK_PX = 4; // a shorter drag is a click
const PAN = 0.1; // of the part, for one press of an arrow key

export class PhotoView {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} tip shows what is known of a point
   * @param {{onSelect: (face: number) => void, show: () => object}} page
   */
  constructor(canvas, tip, page) {
    Object.assign(this, { canvas, tip, page, photo: null, part: null, pointers: new Map() });
    this.ring = tip.parentElement.appendChild(Object.assign(document.createElement("i"), { className: "ring", hidden: true }));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#forget(event));
    canvas.addEventListener("pointerleave", () => this.#read(null));
    canvas.addEventListener("blur", () => this.#read(null));
    canvas.addEventListener("dblclick", (event) => this.zoom(2, this.#at(event)));
  }

  /**
   * Show a photo. The part that was looked at stays, if the photo has the size of the last one and `keep` is set.
   *
   * @param {{picture: ImageBitmap, answer: object, selected: number, topology: object}} photo
   */
  set(photo, keep = false) {
    const { width, height } = photo.picture;
    const same = keep && this.photo && this.photo.picture.width === width && this.photo.picture.height === height;
    this.photo = photo;
    if (!same) this.part = null;
    this.draw();
    if (this.reading) this.#read(keep ? this.#same(this.reading) : null);
  }

  /** Return the same point of the face that is shown now. */
  #same({ set, index }) {
    return this.#readable().find((each) => each.set === set && each.index === index) ?? null;
  }

  /** Fit the photo into the layout, and draw. */
  draw() {
    if (!this.photo || this.canvas.hidden) return;
    const { picture } = this.photo;
    const limit = (parseFloat(getComputedStyle(this.canvas).getPropertyValue("--tallest")) / 100) * innerHeight;
    const fit = Math.min(this.canvas.parentElement.clientWidth / picture.width, limit / picture.height);
    const density = Math.min(devicePixelRatio, 3);
    const [width, height] = [picture.width * fit, picture.height * fit].map((side) => Math.max(1, Math.round(side)));
    this.canvas.style.width = `${width}px`;
    this.#resize(Math.round(width * density), Math.round(height * density));
    this.canvas.classList.toggle("zoomed", this.part !== null);
    const { answer, selected, topology, ids } = this.photo;
    const smoothing = ids ? "low" : "high"; // frames of a video follow one another
    drawPhoto(this.canvas, picture, answer.faces, { selected, show: this.page.show(), part: this.shown(), topology, density, smoothing });
  }

  #resize(width, height) {
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
  }

  /** Return the part of the photo that is shown: left, top, width, height. */
  shown() {
    return this.part ?? whole(this.photo.picture);
  }

  /** Show the whole photo. */
  fit() {
    this.part = null;
    this.draw();
  }

  /** Show the selected face. */
  closeUp() {
    const { picture, answer, selected } = this.photo;
    const face = answer.faces[selected];
    if (!face) return;
    const [left, top, right, bottom] = face.box_xyxy;
    const height = Math.max(1.7 * (bottom - top), (1.7 * (right - left) * picture.height) / picture.width);
    this.#lookAt([(left + right) / 2, (top + bottom) / 2], (height * picture.width) / picture.height);
  }

  /** Enlarge around a point of the photo, by default the middle of what is shown. */
  zoom(factor, at = null) {
    if (!this.photo) return;
    const { left, top, width, height } = this.shown();
    const [x, y] = at ?? [left + width / 2, top + height / 2];
    const { picture } = this.photo;
    const least = (CLOSEST_PX * picture.width) / Math.min(picture.width, picture.height);
    const wide = Math.max(width / factor, Math.min(least, picture.width));
    const share = wide / width;
    this.#lookAt([x + (left + width / 2 - x) * share, y + (top + height / 2 - y) * share], wide);
  }

  /** Move by photo pixels. */
  pan(right, down) {
    const { left, top, width, height } = this.shown();
    this.#lookAt([left + width / 2 + right, top + height / 2 + down], width);
  }

  #lookAt([x, y], width) {
    const { picture } = this.photo;
    const wide = Math.min(width, picture.width);
    const high = (wide * picture.height) / picture.width;
    const clamp = (corner, size, limit) => Math.min(Math.max(corner, 0), limit - size);
    const part = { left: clamp(x - wide / 2, wide, picture.width), top: clamp(y - high / 2, high, picture.height), width: wide, height: high };
    this.part = wide < picture.width * 0.999 ? part : null;
    this.#read(null);
    this.draw();
  }

  /** Return the point of the photo under the pointer. */
  #at({ offsetX, offsetY }) {
    const { left, top, width } = this.shown();
    const scale = width / this.canvas.clientWidth;
    return [left + offsetX * scale - 0.5, top + offsetY * scale - 0.5];
  }

  #key(event) {
    if (!this.photo || event.ctrlKey || event.metaKey || event.altKey) return;
    const { width, height } = this.shown();
    const acts = {
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      0: () => this.fit(),
      f: () => this.closeUp(),
      ",": () => this.#step(-1),
      ".": () => this.#step(1),
      Escape: () => this.#read(null),
      ...(this.part && {
        ArrowLeft: () => this.pan(-PAN * width, 0),
        ArrowRight: () => this.pan(PAN * width, 0),
        ArrowUp: () => this.pan(0, -PAN * height),
        ArrowDown: () => this.pan(0, PAN * height),
      }),
    };
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** Zoom by a pinch on a touch pad, which browsers report as a wheel with Ctrl; a plain wheel scrolls the page. */
  #wheel(event) {
    if (!this.photo || !event.ctrlKey) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 200), this.#at(event));
  }

  #down(event) {
    if (!this.photo) return;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, moved: 0 });
    this.canvas.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) return this.photo && this.#read(this.#nearest(event));
    const before = this.#spread();
    const [right, down] = [event.clientX - pointer.x, event.clientY - pointer.y];
    Object.assign(pointer, { x: event.clientX, y: event.clientY, moved: pointer.moved + Math.hypot(right, down) });
    const scale = this.shown().width / this.canvas.clientWidth;
    if (this.pointers.size === 2) this.zoom(this.#spread() / before);
    else if (this.part) this.pan(-right * scale, -down * scale);
  }

  /** Return the distance of two fingers. */
  #spread() {
    const [one, other] = [...this.pointers.values()];
    return other ? Math.max(1, Math.hypot(one.x - other.x, one.y - other.y)) : 1;
  }

  #up(event) {
    const pointer = this.pointers.get(event.pointerId);
    this.#forget(event);
    if (!pointer || pointer.moved > CLICK_PX) return;
    const [x, y] = this.#at(event);
    const index = this.photo.answer.faces.findIndex(({ box_xyxy: [left, top, right, bottom] }) =>
      left <= x && x <= right && top <= y && y <= bottom);
    if (index >= 0 && index !== this.photo.selected) this.page.onSelect(index);
    else this.#read(this.#nearest(event)); // a finger reads a point by a tap
  }

  #forget(event) {
    this.pointers.delete(event.pointerId);
  }

  /** Return the points that can be read: those of the layers that are drawn. */
  #readable() {
    const face = this.photo.answer.faces[this.photo.selected];
    if (!face) return [];
    const show = this.page.show();
    const listed = (set, points, confidences) => points.map((point, index) => ({ set, index, point, confidence: confidences[index], face }));
    return [
      ...(show.points || show.contours ? listed("ibug68", face.landmarks.ibug68, face.confidence.ibug68) : []),
      ...(show.mesh || show.contours ? listed("mesh478", face.mesh_px, face.confidence.mesh478) : []),
    ];
  }

  /** Return the point nearest to the pointer, null if none is near; one of the 68 wins where both sets are as near. */
  #nearest(event) {
    const [x, y] = this.#at(event);
    const scale = this.canvas.clientWidth / this.shown().width;
    let [best, least] = [null, REACH_PX];
    for (const each of this.#readable()) {
      const away = Math.hypot(each.point[0] - x, each.point[1] - y) * scale;
      if (away < least) [best, least] = [each, each.set === "ibug68" ? away - 2 : away];
    }
    return best;
  }

  /** Read the point after or before the one that was read. */
  #step(by) {
    const points = this.#readable();
    if (!points.length) return;
    const now = points.findIndex(({ set, index }) => set === this.reading?.set && index === this.reading?.index);
    this.#read(points[(now + by + (now < 0 && by < 0 ? 1 : 0) + points.length) % points.length]);
  }

  /** Show what is known of a point; null hides it. */
  #read(reading) {
    this.reading = reading;
    this.tip.hidden = this.ring.hidden = !reading;
    if (!reading) return;
    const { set, index, point: [x, y], confidence, face } = reading;
    const name = set === "ibug68" ? `Point ${index} of 68` : `Mesh point ${index} of 478`;
    const numbers = (values) => values.map((value) => value.toFixed(1).replace("-", "−")).join(", ");
    const place = set === "mesh478" ? `\n${numbers(face.mesh_mm[index])} mm` : "";
    this.tip.textContent = `${name}\n${numbers([x, y])} px${place}\nconfidence ${confidence.toFixed(2)}`;
    const { left, top, width } = this.shown();
    const scale = this.canvas.clientWidth / width;
    const [right, down] = [(x + 0.5 - left) * scale + this.canvas.offsetLeft, (y + 0.5 - top) * scale + this.canvas.offsetTop];
    [this.ring.style.left, this.ring.style.top] = [`${right}px`, `${down}px`];
    this.tip.style.left = `${Math.min(Math.max(right - this.tip.offsetWidth / 2, 4), this.canvas.parentElement.clientWidth - this.tip.offsetWidth - 4)}px`;
    this.tip.style.top = `${down > this.tip.offsetHeight + 20 ? down - this.tip.offsetHeight - 14 : down + 16}px`;
  }
}

/** Draw a photo in full resolution with its faces on a canvas of its own. */
export function overlayCanvas({ picture, answer, selected, topology }, show) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  const face = answer.faces[selected];
  const density = face ? Math.max(1, sizeOf(face) / 320) : 1;
  drawPhoto(canvas, picture, answer.faces, { selected, show, part: whole(picture), topology, density });
  return canvas;
}
