/** The service's /v1/topology: triangles, canonical head, lines of both sets of points; fetched once. */
let shared;

export function topology() {
  shared ??= fetch("v1/topology").then((answer) => {
    if (!answer.ok) throw new Error(`The service answered ${answer.status} for its topology.`);
    return answer.json();
  });
  return shared;
}
