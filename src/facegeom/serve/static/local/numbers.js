/** Arithmetic that JavaScript lacks. */

/** Round to the nearest integer, halves to even, as numpy. */
export function rint(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

export function clip(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** Return the indices of the values, largest first; the sort is stable. */
export function descending(values) {
  return Array.from(values.keys()).sort((one, other) => values[other] - values[one] || one - other);
}
