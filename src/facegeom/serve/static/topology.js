/** The service's /v1/topology: triangles, canonical head, lines of both sets of points; fetched once. */
let shared;

export function topology() {
  shared ??= load().catch((error) => {
    shared = undefined; // the next photo asks again
    throw error;
  });
  return shared;
}

async function load() {
  const answer = await fetch("v1/topology").catch(() => null);
  if (!answer?.ok) throw new Error("the service does not answer; check that it still runs, and try again");
  return answer.json();
}
