/** Metadata in the files of JPEG, PNG and WebP: EXIF, XMP, and whether there is a colour profile. */

const EXIF = "Exif\0\0";
const XMP = "http://ns.adobe.com/xap/1.0/\0";
const PNG_XMP = "XML:com.adobe.xmp\0";
const WITHOUT_LENGTH = new Set([0x01, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8]);
const START_OF_SCAN = 0xda;

/**
 * @typedef {object} Metadata
 * @property {Uint8Array | null} exif the TIFF structure
 * @property {string} xmp
 * @property {boolean} profile whether there is a colour profile
 * @property {Blob} bare the file without its EXIF: what its decoder makes of it is not turned
 */

/**
 * Find the metadata of a file; a file that is cut short, or of another format, has none.
 *
 * @param {Blob} blob
 * @returns {Promise<Metadata>}
 */
export async function metadataOf(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const found = { exif: null, xmp: "", profile: false, bare: blob };
  try {
    if (says(bytes, 0, "\xff\xd8")) jpeg(bytes, found);
    else if (says(bytes, 0, "\x89PNG")) png(bytes, found);
    else if (says(bytes, 0, "RIFF") && says(bytes, 8, "WEBP")) webp(bytes, found);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return found;
}

function jpeg(bytes, found) {
  const view = new DataView(bytes.buffer);
  for (let at = 2; view.getUint8(at + 1) !== START_OF_SCAN; ) {
    const marker = view.getUint8(at + 1);
    if (view.getUint8(at) !== 0xff || marker === 0xff || WITHOUT_LENGTH.has(marker)) {
      at += view.getUint8(at) === 0xff && marker !== 0xff ? 2 : 1;
      continue;
    }
    const [start, end] = [at + 4, at + 2 + view.getUint16(at + 2)];
    if (marker === 0xe1 && says(bytes, start, EXIF)) takeExif(bytes, [start, end], [at, end], found);
    if (marker === 0xe1 && says(bytes, start, XMP)) found.xmp = text(bytes.subarray(start + XMP.length, end));
    if (marker === 0xe2 && says(bytes, start, "ICC_PROFILE\0")) found.profile = true;
    at = end;
  }
}

function png(bytes, found) {
  const view = new DataView(bytes.buffer);
  for (let at = 8; at < bytes.length; ) {
    const [start, end] = [at + 8, at + 8 + view.getUint32(at)];
    if (says(bytes, at + 4, "eXIf")) takeExif(bytes, [start, end], [at, end + 4], found);
    if (says(bytes, at + 4, "iTXt") && says(bytes, start, PNG_XMP)) found.xmp = text(bytes.subarray(start, end));
    if (says(bytes, at + 4, "iCCP")) found.profile = true;
    at = end + 4;
  }
}

function webp(bytes, found) {
  const view = new DataView(bytes.buffer);
  for (let at = 12; at < bytes.length; ) {
    const [start, end] = [at + 8, at + 8 + view.getUint32(at + 4, true)];
    if (says(bytes, at, "EXIF")) takeExif(bytes, [start, end], null, found);
    if (says(bytes, at, "XMP ")) found.xmp = text(bytes.subarray(start, end));
    if (says(bytes, at, "ICCP")) found.profile = true;
    at = end + (end % 2);
  }
}

/** Note the first EXIF. Its part is cut from the file; null is a WebP, whose chunk gets an unknown name instead. */
function takeExif(bytes, [start, end], part, found) {
  if (found.exif) return;
  let begin = start;
  while (begin < start + 2 * EXIF.length && says(bytes, begin, EXIF)) begin += EXIF.length;
  found.exif = bytes.subarray(begin, end);
  const rest = part ? [bytes.subarray(0, part[0]), bytes.subarray(part[1])] : renamed(bytes, start - 8);
  found.bare = new Blob(rest, { type: found.bare.type });
}

function renamed(bytes, at) {
  return [bytes.subarray(0, at), "none", bytes.subarray(at + 4)];
}

function says(bytes, at, word) {
  return [...word].every((letter, index) => bytes[at + index] === letter.charCodeAt(0));
}

function text(bytes) {
  return new TextDecoder("latin1").decode(bytes);
}
