/** Small arithmetic that JavaScript lacks. */

/** To the nearest whole number, halves to the even one, as numpy rounds. */
export function rint(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

export function clip(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** Indices of the values, largest first, equal ones in their order. */
export function descending(values) {
  return Array.from(values.keys()).sort((one, other) => values[other] - values[one] || one - other);
}
