/**
 * Service worker: a second visit works without the server. What the page loads is kept; photos never come here.
 *
 * The service puts VERSION, SHELL, PAGE and NETWORKS before this text: see `facegeom.serve.pages`.
 */

/* global VERSION, SHELL, PAGE, NETWORKS */

const cacheName = `facegeom ${VERSION}`;
const isKept = new Set([...SHELL, ...NETWORKS].map(address));
const isAsked = new Set(PAGE.map(address));

function address(path) {
  return new URL(path, self.registration.scope).href;
}

self.addEventListener("install", (event) => {
  const keep = async () => (await caches.open(cacheName)).addAll([...SHELL, ...PAGE].map(address));
  event.waitUntil(keep().then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const forget = async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith("facegeom ") && name !== cacheName);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(forget());
});

/** The page says so when it has used its own networks: the browser has them, so this downloads nothing anew. */
self.addEventListener("message", (event) => {
  if (event.data === "keep networks") event.waitUntil(keepNetworks().then(() => event.source?.postMessage("networks kept")));
});

async function keepNetworks() {
  const cache = await caches.open(cacheName);
  for (const url of NETWORKS.map(address)) if (!(await cache.match(url))) await cache.add(url);
}

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method !== "GET") return;
  if (isKept.has(url)) event.respondWith(fromCache(event.request));
  else if (isAsked.has(url)) event.respondWith(fromServer(event.request));
});

/** Files whose address holds the version do not change. */
async function fromCache(request) {
  return (await caches.match(request.url)) ?? fetch(request);
}

/** The rest is asked for, and taken from the cache where no server answers. */
async function fromServer(request) {
  const cache = await caches.open(cacheName);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request.url, response.clone()).catch(() => {}); // no room: the answer counts
    return response;
  } catch (error) {
    const kept = await cache.match(request.url);
    if (kept) return kept;
    throw error;
  }
}
