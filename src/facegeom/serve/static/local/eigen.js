/** Jacobi's method for small symmetric matrices. */

const MAX_SWEEPS = 50;
const NEGLIGIBLE = 1e-30;

/**
 * Return the largest eigenvalue of a symmetric matrix and its unit eigenvector.
 *
 * @param {number[][]} symmetric
 * @returns {{value: number, vector: number[]}}
 */
export function largestEigenpair(symmetric) {
  const matrix = symmetric.map((row) => [...row]);
  const vectors = matrix.map((row, i) => row.map((_, j) => Number(i === j)));
  const size = squares(matrix, true);
  for (let sweep = 0; sweep < MAX_SWEEPS && squares(matrix, false) > NEGLIGIBLE * size; sweep++) {
    for (let p = 0; p < matrix.length; p++) {
      for (let q = p + 1; q < matrix.length; q++) rotate(matrix, vectors, p, q);
    }
  }
  const values = matrix.map((row, i) => row[i]);
  const best = values.indexOf(Math.max(...values));
  return { value: values[best], vector: vectors.map((row) => row[best]) };
}

function squares(matrix, withDiagonal) {
  const counted = (value, i, j) => (i !== j || withDiagonal ? value * value : 0);
  return matrix.reduce((sum, row, i) => row.reduce((part, value, j) => part + counted(value, i, j), sum), 0);
}

/** Apply the Jacobi rotation in the plane of p and q that makes entry (p, q) zero. */
function rotate(matrix, vectors, p, q) {
  if (matrix[p][q] === 0) return;
  const ratio = (matrix[q][q] - matrix[p][p]) / (2 * matrix[p][q]);
  const tangent = (ratio < 0 ? -1 : 1) / (Math.abs(ratio) + Math.hypot(ratio, 1));
  const cosine = 1 / Math.hypot(tangent, 1);
  const sine = tangent * cosine;
  for (const row of [...matrix, ...vectors]) {
    [row[p], row[q]] = [cosine * row[p] - sine * row[q], sine * row[p] + cosine * row[q]];
  }
  const [first, second] = [matrix[p], matrix[q]];
  matrix[p] = first.map((value, k) => cosine * value - sine * second[k]);
  matrix[q] = first.map((value, k) => sine * value + cosine * second[k]);
}
