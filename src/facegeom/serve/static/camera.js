/** The device's camera: live video and snapshots. */

const REASONS = {
  NotAllowedError: "The camera was not allowed. Allow it in the browser's settings of this page.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera is in use elsewhere.",
};

export class Camera {
  /** @param {HTMLVideoElement} video shows the live video. */
  constructor(video) {
    this.video = video;
  }

  /** @throws {Error} with a message for the user. */
  async start() {
    if (!navigator.mediaDevices) throw new Error("The camera works only at https:// or on this machine itself.");
    const wishes = { video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } } };
    try {
      this.video.srcObject = await navigator.mediaDevices.getUserMedia(wishes);
      await this.video.play();
    } catch (error) {
      throw new Error(REASONS[error.name] ?? `The camera cannot be used (${error.message}).`);
    }
  }

  /** @returns {Promise<Blob>} the current frame as a JPEG. */
  photo() {
    const canvas = document.createElement("canvas");
    canvas.width = this.video.videoWidth;
    canvas.height = this.video.videoHeight;
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
  }

  stop() {
    for (const track of this.video.srcObject?.getTracks() ?? []) track.stop();
    this.video.srcObject = null;
  }
}
