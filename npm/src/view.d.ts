import type { Face, Faces, Input, Options } from "./index.js";

/**
 * `<facegeom-view src="photo.jpg" layers="contours box">`: a photo or video with its faces.
 *
 * Attributes: `src`, the address of a photo; `layers`, some of contours, box, points, mesh, axes, gaze.
 * Events: `faces` with the result as `detail`, `error` with an Error as `detail`.
 */
export class FacegeomView extends HTMLElement {
  /** Options of the search. */
  options: Options;
  /** Faces of what is shown; null before. */
  readonly faces: Face[] | null;
  /** The whole result; null before. */
  readonly result: Faces | null;
  /** Show a file, image, canvas or pixels. */
  show(input: Input): Promise<Faces>;
  /** Follow the faces of a playing video until it ends, or until something else is shown. */
  play(video: HTMLVideoElement): Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    "facegeom-view": FacegeomView;
  }
}
