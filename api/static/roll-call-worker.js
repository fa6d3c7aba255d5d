// The service worker of the roll call, and of no other page: the network first, and without one what was kept last.
// Names lie in it, so it keeps one list, for a day, and none for whoever may not see one any more.
"use strict";
const SHELF = "roll-call", DAY_MS = 24 * 3600 * 1000;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

const isPage = (url) => url.pathname === "/roll-call";
const isAsset = (url) => url.pathname.startsWith("/static/");
const nameOf = (url) => isPage(url) ? "/roll-call" : url.href; // one list, whatever its order

async function fetchedAndKept(request) {
  const url = new URL(request.url ?? request, self.location.origin), shelf = await caches.open(SHELF);
  const answer = await fetch(request);
  if (answer.ok && !answer.redirected) await shelf.put(nameOf(url), answer.clone());
  else if (isPage(url) && (answer.redirected || answer.status === 401 || answer.status === 403)) await caches.delete(SHELF);
  return answer;
}

async function keptOf(url) {
  const found = await (await caches.open(SHELF)).match(nameOf(url));
  if (!found) return Response.error();
  const age = Date.now() - Date.parse(found.headers.get("date") ?? "");
  if (isPage(url) && !(age < DAY_MS)) { await caches.delete(SHELF); return Response.error(); }
  return found;
}

self.addEventListener("message", (event) => { // what was loaded before there was a worker
  const addresses = (event.data?.keep ?? []).map((one) => new URL(one)).filter((url) => url.origin === self.location.origin && (isPage(url) || isAsset(url)));
  event.waitUntil(Promise.all(addresses.map((url) => fetchedAndKept(new Request(url, { credentials: "same-origin" })).catch(() => undefined))));
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (isPage(url)) event.respondWith(fetchedAndKept(event.request).catch(() => keptOf(url)));
  else if (isAsset(url)) event.respondWith((async () => { // an address with a mark never changes what it holds
    const found = url.search ? await (await caches.open(SHELF)).match(url.href) : undefined;
    return found ?? fetchedAndKept(event.request).catch(() => keptOf(url));
  })());
});
