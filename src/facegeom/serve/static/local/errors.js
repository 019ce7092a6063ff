/** Errors that the user can act on; the page shows their messages. Mirrors `facegeom.errors`. */

/** The photo cannot be read or used. */
export class ImageError extends Error {
  name = "ImageError";
}

/** An option is out of its range. */
export class InputError extends Error {
  name = "InputError";
}

/** The networks cannot be loaded or run in this browser. */
export class EngineError extends Error {
  name = "EngineError";
}
