/** Geometry and texture of a face for three.js, used by the 3D view and the GLB. */

import * as THREE from "three";

const TEXTURE_SIDE = 1024; // pixels, maximum

/**
 * Create the mesh of a face: x right, y up, z towards the viewer, millimetres.
 *
 * @returns {{geometry: THREE.BufferGeometry, origin: THREE.Vector3}} the geometry with texture coordinates and
 *   its centre at the origin, and the original centre
 */
export function faceGeometry(face, picture, { triangles }) {
  const vertices = face.mesh_mm.flatMap(([x, y, z]) => [x, -y, -z]);
  const [left, top, right, bottom] = visiblePart(face, picture);
  const coordinates = face.mesh_px.flatMap(([x, y]) => [
    (x + 0.5 - left) / (right - left),
    (y + 0.5 - top) / (bottom - top),
  ]);
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.Float32BufferAttribute(vertices, 3));
  geometry.setAttribute("uv", new THREE.Float32BufferAttribute(coordinates, 2));
  geometry.setIndex(triangles.flat());
  geometry.computeVertexNormals();
  turnLoneNormals(geometry.getAttribute("normal"));
  geometry.computeBoundingBox();
  const origin = geometry.boundingBox.getCenter(new THREE.Vector3());
  geometry.translate(-origin.x, -origin.y, -origin.z);
  return { geometry, origin };
}

/** Point the normals of vertices without triangles (the irises) towards the viewer. */
function turnLoneNormals(normals) {
  for (let index = 0; index < normals.count; index++) {
    const length = Math.hypot(normals.getX(index), normals.getY(index), normals.getZ(index));
    if (length === 0) normals.setXYZ(index, 0, 0, 1);
  }
}

/** Create a texture of the part of the photo that the face covers; its first row is the top one. */
export function photoTexture(face, picture) {
  const [left, top, right, bottom] = visiblePart(face, picture);
  const shrink = Math.min(1, TEXTURE_SIDE / Math.max(right - left, bottom - top));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round((right - left) * shrink));
  canvas.height = Math.max(1, Math.round((bottom - top) * shrink));
  const part = [left, top, right - left, bottom - top];
  canvas.getContext("2d").drawImage(picture, ...part, 0, 0, canvas.width, canvas.height);
  const texture = new THREE.CanvasTexture(canvas);
  texture.flipY = false;
  texture.colorSpace = THREE.SRGBColorSpace;
  return texture;
}

/** Return left, top, right, bottom (exclusive) of the mesh in the photo, whole pixels; at least one pixel. */
function visiblePart(face, picture) {
  const range = (axis, size) => {
    const values = face.mesh_px.map((point) => point[axis]);
    const low = Math.min(size - 1, Math.max(0, Math.floor(Math.min(...values))));
    return [low, Math.min(size, Math.max(low + 1, Math.ceil(Math.max(...values)) + 1))];
  };
  const [left, right] = range(0, picture.width);
  const [top, bottom] = range(1, picture.height);
  return [left, top, right, bottom];
}
