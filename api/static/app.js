// Of every page: hears the signals, says when the line is dead, tells a page that something moved (`moved` on <body>).
// The stream carries signals only; what is shown comes from the server, escaped there (docs/adr/0017-pages.md).
"use strict";
const SILENT_MS = 5000, FETCH_MS = 1000;
const byId = (id) => document.getElementById(id);
const link = byId("link"), cut = byId("cut"), clock = byId("clock");

let heardAt = performance.now(), isCurrent = link?.dataset.current === "yes", version = null, source = null, isAway = false;

function judge() {
  const alive = isCurrent && performance.now() - heardAt < SILENT_MS;
  cut.hidden = alive;
  link.dataset.current = alive ? "yes" : "no";
}

let waits = null, movedAt = 0;
function moved() { // at most each FETCH_MS: at once after a quiet second, and a busy minute is sixty fetches, not a thousand
  if (waits !== null) return;
  waits = setTimeout(() => {
    waits = null;
    movedAt = performance.now();
    document.body.dispatchEvent(new CustomEvent("moved"));
  }, Math.max(0, FETCH_MS - (performance.now() - movedAt)));
}

function listen() {
  source = new EventSource(document.body.dataset.signals);
  source.addEventListener("snapshot", (event) => {
    heardAt = performance.now();
    const now = JSON.parse(event.data);
    isCurrent = now.is_current;
    clock.textContent = now.at.slice(11, 19);
    if (now.version !== version || document.querySelector("[data-state=released]")) moved();
    version = now.version;
    judge();
  });
  // A browser gives up for good on an answer other than 200 (a restart, too many pages): begin again ourselves.
  source.addEventListener("error", () => { if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(listen, 3000);
    document.body.dispatchEvent(new CustomEvent("cut"));
  });
}
if (document.body.dataset.signals) {
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) { listen(); moved(); } });
  setInterval(judge, 500);
  listen();
}

// Somebody whose session is over is shown the sign-in, not an error in a corner.
document.addEventListener("htmx:after:request", (event) => {
  const answer = event.detail?.ctx?.response;
  if (!isAway && answer && (answer.status === 401 || answer.raw?.redirected)) { isAway = true; location.reload(); }
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) print();
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard.writeText(byId(copy.dataset.copy).textContent).then(() => { copy.textContent = copy.dataset.done; tell(copy.dataset.done); });
  const button = event.target.closest("button[commandfor]");
  if (button && !("commandForElement" in button)) { // browsers of before 2025
    const dialog = byId(button.getAttribute("commandfor"));
    if (button.getAttribute("command") === "close") dialog.close(); else dialog.showModal();
  }
});

// Whoever signs out leaves no names on the phone (the roll call keeps a list for when there is no network).
document.addEventListener("submit", (event) => { if (event.target.matches('[action="/sign-out"]')) globalThis.caches?.delete("roll-call"); });

/** Says something to whoever does not see the screen. */
function tell(text) { byId("said").textContent = text; }
