/** A camera or a video file, frame by frame: shown, or followed by the tracker in this browser. */

const SIDE_PX = 640; // longer side of a frame as the tracker sees it
const PHOTO_SIDE_PX = 1280; // of a camera that only takes a photo
const RATE_S = 1; // over which the frames are counted

const REASONS = {
  NotAllowedError: "the camera was not allowed; allow it in the browser's settings of this page",
  NotFoundError: "no camera was found; connect one, or choose a photo",
  NotReadableError: "the camera is in use elsewhere; close the other program, and try again",
  AbortError: "the camera did not start; try again",
};
const ENDED = "the camera has ended: it was unplugged, or another program took it; the last picture is kept";

export class Live {
  /**
   * @param {HTMLVideoElement} video plays the source
   * @param {{onFrame: (frame: {picture: ImageBitmap, answer: object, perSecond: number}) => void,
   *   onEnd: (error: Error | null) => void, onProgress: (loaded: number, total: number) => void}} page
   */
  constructor(video, page) {
    Object.assign(this, { video, page, session: null });
  }

  get isOn() {
    return this.session !== null;
  }

  /**
   * Open the camera. The promise waits for the user's permission; `stop` ends the wait.
   *
   * @param {boolean} followed frames are taken as the tracker sees them; larger ones cost time
   * @throws {Error} with a message for the user
   */
  async openCamera(followed) {
    if (!navigator.mediaDevices) throw new Error("the camera works only at https:// or on this machine itself; choose a photo instead");
    const session = this.#begin();
    const width = followed ? SIDE_PX : PHOTO_SIDE_PX;
    const wishes = { video: { facingMode: "user", width: { ideal: width }, height: { ideal: 0.75 * width }, frameRate: { ideal: 30 } } };
    try {
      const stream = await navigator.mediaDevices.getUserMedia(wishes);
      if (this.session !== session) return stopTracks(stream); // it was closed meanwhile
      this.video.srcObject = stream;
      for (const track of stream.getTracks()) track.addEventListener("ended", () => this.#fail(session, ENDED));
      await this.video.play();
    } catch (error) {
      if (this.session !== session) return;
      this.stop();
      throw new Error(REASONS[error.name] ?? `the camera cannot be used (${error.message})`);
    }
  }

  /** Open a video file. */
  async openFile(file) {
    const session = this.#begin();
    session.url = URL.createObjectURL(file);
    this.video.src = session.url;
    try {
      await this.video.play();
    } catch (error) {
      if (this.session !== session) return;
      this.stop();
      throw new Error(`this browser cannot play it (${error.message}); convert it to WebM or MP4`);
    }
  }

  #begin() {
    this.stop();
    return (this.session = { url: null, isOver: false, wake: null, times: [] });
  }

  /**
   * Follow the faces from frame to frame until the source ends or `stop` is called. While the worker analyzes a frame the next
   * one waits for it there, and the page draws the last.
   */
  async follow(options) {
    const { session } = this;
    const { follow } = await import("./local/analyze.js");
    this.video.addEventListener("ended", () => session.wake?.(), { once: true });
    this.video.addEventListener("error", () => this.#fail(session, "the video is damaged; get a whole copy"), { once: true });
    let [restart, before] = [true, null];
    try {
      for (let next = await this.#next(session); next; next = await this.#next(session)) {
        const about = { ...options, restart, timeS: next.timeS, onProgress: this.page.onProgress };
        const shown = follow(next.picture, about).then((frame) => this.#show(session, frame));
        shown.catch(() => {}); // it is awaited below, if the one before does not fail
        await before;
        [restart, before] = [false, shown];
      }
      await before;
    } catch (error) {
      return this.#fail(session, error.message);
    }
    if (this.session === session) this.#end(null);
  }

  #show(session, frame) {
    if (this.session === session) this.page.onFrame({ ...frame, perSecond: rate(session.times) });
    else frame.picture.close();
  }

  /** Wait for the next frame; return its picture, and its time in seconds; null after the last. */
  async #next(session) {
    const { video } = this;
    if (this.session !== session || session.isOver) return null;
    session.isOver = video.ended; // what it shows now is its last frame
    const timeS = video.ended ? video.currentTime : await this.#presented(session);
    if (this.session !== session) return null;
    if (timeS === null) return this.#next(session);
    const [width, height] = fitted(video.videoWidth, video.videoHeight);
    const resized = width < video.videoWidth ? { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" } : {};
    const picture = await createImageBitmap(video, resized);
    return { picture, timeS };
  }

  /** Return the time of the next frame that is presented; null if the source ended before. */
  #presented(session) {
    return new Promise((resolve) => {
      session.wake = () => resolve(null);
      this.video.requestVideoFrameCallback((_, { mediaTime }) => resolve(mediaTime));
    });
  }

  #fail(session, message) {
    if (this.session === session) this.#end(new Error(message));
  }

  #end(error) {
    this.stop();
    this.page.onEnd(error);
  }

  /** Play on or stand still. */
  pause(on) {
    if (on) this.video.pause();
    else this.video.play();
  }

  /** Return the current frame in full size as a JPEG. */
  photo() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.video.videoWidth, this.video.videoHeight];
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    return new Promise((resolve) => canvas.toBlob((blob) => resolve(new File([blob], "camera.jpg", { type: blob.type })), "image/jpeg", 0.95));
  }

  /** Close camera or file. */
  stop() {
    const { session, video } = this;
    if (!session) return;
    this.session = null;
    stopTracks(video.srcObject);
    video.srcObject = null;
    if (session.url) {
      video.removeAttribute("src");
      video.load();
      URL.revokeObjectURL(session.url);
    }
    session.wake?.();
  }
}

function stopTracks(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** Return width and height of a frame for the tracker. */
function fitted(width, height) {
  const shrink = Math.min(1, SIDE_PX / Math.max(width, height));
  return [width, height].map((side) => Math.max(1, Math.round(side * shrink)));
}

/** Return the frames of the last second; `times` holds when they came. */
function rate(times) {
  const now = performance.now() / 1000;
  times.push(now);
  while (times[0] < now - RATE_S) times.shift();
  return times.length > 1 ? (times.length - 1) / (now - times[0]) : 0;
}

/** Return a function that answers whether so many milliseconds have passed since it last said yes. */
export function pace() {
  let last = -Infinity;
  return (everyMs) => {
    const now = performance.now();
    if (now - last < everyMs) return false;
    last = now;
    return true;
  };
}
