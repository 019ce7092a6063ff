/** An image as numbers: three (RGB) or four (RGBA) bytes a pixel, row by row. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8Array | Uint8ClampedArray;
}

/** What a browser analyzes. In Node.js only `Pixels`. */
export type Input =
  | Blob
  | Pixels
  | ImageData
  | ImageBitmap
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas;

export interface Options {
  /** Height of the smallest face to look for, pixels; by default 5.5 % of the longer side, and less where something hints at smaller ones. */
  min_face?: number | null;
  /** Keep at most so many faces, best first. */
  max_faces?: number | null;
  /** Least score of a face, in [0, 1]; 0.9 by default. */
  min_score?: number;
  /** Angle of view across the longer side, degrees; by default that of the file's EXIF, else 50. */
  fov_deg?: number | null;
  /** Which way up the photo is: as EXIF says, or found out where no face is sure. */
  orientation?: "exif" | "auto";
}

export interface Progress {
  /** Called as the package's files arrive; with their number so far, and in all. */
  onProgress?: (loaded: number, total: number) => void;
}

export interface Settings {
  /** Address of the package's folder `data`, if the files are served from elsewhere. Ends with a slash. */
  data?: string | URL;
  /** Threads of the networks; more than one needs a cross-origin isolated page. */
  threads?: number;
}

/** One face; see https://github.com/facegeom/facegeom/blob/main/docs/conventions.md for frames, signs and units. */
export interface Face {
  score: number;
  /** Left, top, right, bottom, pixels. */
  box_xyxy: [number, number, number, number];
  /** The 68 points of the iBUG markup, pixels. */
  landmarks: { ibug68: [number, number][] };
  /** The 478 points, x and y in pixels, z on the same scale. */
  mesh_px: [number, number, number][];
  /** The 478 points in the camera's frame, millimetres. */
  mesh_mm: [number, number, number][];
  /** In [0, 1] for each point. */
  confidence: { ibug68: number[]; mesh478: number[] };
  pose: {
    /** Head frame to the frame of the line of sight, three rows: the head as seen. */
    rotation: [number, number, number][];
    yaw_deg: number;
    pitch_deg: number;
    roll_deg: number;
    camera: { rotation: [number, number, number][]; translation_mm: [number, number, number]; fov_deg: number; fov_source: string };
  };
  /** Coefficients in [0, 1] by ARKit's names. */
  expression: Record<string, number>;
  gaze: { eyes: [number, number, number][]; yaw_deg: number; pitch_deg: number; confidence: [number, number] };
}

/** Faces of a photo, in the schema of facegeom's JSON files. */
export interface Faces {
  schema: number;
  image: { width: number; height: number; file: string | null };
  faces: Face[];
}

/** Say where the package's data lies and how many threads to use, before the first photo. */
export function configure(settings?: Settings): void;

/** Open the networks; the first photo does it, too. */
export function load(options?: Progress): Promise<void>;

/** Find the faces of one photo, best score first. */
export function analyze(input: Input, options?: Options & Progress): Promise<Faces>;

/** Follow the faces of a video to its next frame; `ids` stay with the faces. */
export function follow(
  input: Input,
  options: Options & Progress & { /** Time of the frame, seconds. */ timeS: number; /** Begin a new video. */ restart?: boolean },
): Promise<Faces & { ids: number[] }>;

/** The picture cannot be read. */
export class ImageError extends Error {}
/** An argument is out of its range. */
export class InputError extends Error {}
/** The networks cannot be loaded or run. */
export class EngineError extends Error {}
