/**
 * Rotation matrices, as three rows. Mirrors `facegeom.geometry.rotation`; frames and signs are those of
 * docs/conventions.md: x right, y down, z away from the camera, a frontal head has R = I.
 */

import { clip } from "./numbers.js";
import { largestEigenpair } from "./eigen.js";

const DEGREES = 180 / Math.PI;
const LOCKED = 1 - 1e-9;

/** Return the rotation of a 6D representation, by Gram-Schmidt (Zhou et al., CVPR 2019). */
export function rotationFrom6d(vectors) {
  const b1 = unit(vectors.slice(0, 3));
  const b3 = unit(cross(b1, vectors.slice(3, 6)));
  const b2 = cross(b3, b1);
  return [0, 1, 2].map((row) => [b1[row], b2[row], b3[row]]);
}

/** Return [yaw, pitch, roll] in degrees of R = Rz(roll) · Ry(-yaw) · Rx(-pitch). */
export function anglesFromRotation(r) {
  const sine = clip(r[2][0], -1, 1);
  const locked = Math.abs(sine) > LOCKED;
  const pitch = locked ? -Math.atan2(-r[1][2], r[1][1]) : -Math.atan2(r[2][1], r[2][2]);
  const roll = locked ? 0 : Math.atan2(r[1][0], r[0][0]);
  return [Math.asin(sine), pitch, roll].map((angle) => angle * DEGREES);
}

/** Return the rotation in the image plane, degrees clockwise. */
export function rotationOfRoll(rollDeg) {
  const [cosine, sine] = [Math.cos(rollDeg / DEGREES), Math.sin(rollDeg / DEGREES)];
  return [[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]];
}

/** Return the smallest rotation that carries the z axis onto a direction, z > 0. */
export function rotationToLineOfSight(direction) {
  const [x, y, z] = unit(direction);
  const k = 1 / (1 + z);
  return [
    [1 - x * x * k, -x * y * k, x],
    [-x * y * k, 1 - y * y * k, y],
    [-x, -y, 1 - (x * x + y * y) * k],
  ];
}

/**
 * Fit the least-squares similarity target = scale · rotation · source + translation, without reflection.
 *
 * Horn, "Closed-form solution of absolute orientation using unit quaternions", JOSA A 1987; the same optimum as
 * Umeyama's by singular values in Python.
 *
 * @param {number[][]} source K points
 * @param {number[][]} target K points
 */
export function procrustes(source, target) {
  const [sourceMean, targetMean] = [mean(source), mean(target)];
  const { products, squares } = sums(source, sourceMean, target, targetMean);
  const { value, vector } = largestEigenpair(hornMatrix(products));
  const rotation = rotationFromQuaternion(vector);
  const scale = value / Math.max(squares, 1e-12);
  const turned = apply(rotation, sourceMean);
  return { scale, rotation, translation: targetMean.map((value, axis) => value - scale * turned[axis]) };
}

/** Return the sums over the points of source[a] · target[b], and of source · source, each from its mean. */
function sums(source, [sx, sy, sz], target, [tx, ty, tz]) {
  const products = [[0, 0, 0], [0, 0, 0], [0, 0, 0]];
  let squares = 0;
  for (let k = 0; k < source.length; k++) {
    const own = [source[k][0] - sx, source[k][1] - sy, source[k][2] - sz];
    const [x, y, z] = [target[k][0] - tx, target[k][1] - ty, target[k][2] - tz];
    for (let axis = 0; axis < 3; axis++) {
      products[axis][0] += own[axis] * x;
      products[axis][1] += own[axis] * y;
      products[axis][2] += own[axis] * z;
    }
    squares += dot(own, own);
  }
  return { products, squares };
}

function hornMatrix([[xx, xy, xz], [yx, yy, yz], [zx, zy, zz]]) {
  return [
    [xx + yy + zz, yz - zy, zx - xz, xy - yx],
    [yz - zy, xx - yy - zz, xy + yx, zx + xz],
    [zx - xz, xy + yx, yy - xx - zz, yz + zy],
    [xy - yx, zx + xz, yz + zy, zz - xx - yy],
  ];
}

function rotationFromQuaternion([w, x, y, z]) {
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
    [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
    [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
  ];
}

/** Return the matrix product. */
export function product(one, other) {
  return one.map((row) => [0, 1, 2].map((column) => dot(row, other.map((line) => line[column]))));
}

/** Return the transposed matrix. */
export function transpose(matrix) {
  return [0, 1, 2].map((column) => matrix.map((row) => row[column]));
}

/** Return the matrix times a vector. */
export function apply(matrix, vector) {
  return matrix.map((row) => dot(row, vector));
}

export function dot(one, other) {
  return one[0] * other[0] + one[1] * other[1] + one[2] * other[2];
}

function unit(vector) {
  const length = Math.max(Math.sqrt(dot(vector, vector)), 1e-12);
  return vector.map((value) => value / length);
}

function cross([a, b, c], [x, y, z]) {
  return [b * z - c * y, c * x - a * z, a * y - b * x];
}

export function minus(one, other) {
  return one.map((value, axis) => value - other[axis]);
}

function mean(points) {
  return [0, 1, 2].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}
