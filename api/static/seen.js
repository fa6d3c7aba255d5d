// A page that somebody uses stays signed in; one that nobody uses does not, and hides what it showed.
"use strict";
{ // a block: scripts of one page share their names
const TOLD_MS = 60000, LOOK_MS = 30000;
let toldAt = -TOLD_MS;
const away = (answer) => { if (answer.status === 401) location.reload(); };
function used() {
  if (performance.now() - toldAt < TOLD_MS) return;
  toldAt = performance.now();
  fetch("/api/v1/session/seen", { method: "POST" }).then(away, () => {});
}
const look = () => fetch("/api/v1/session").then(away, () => {});
for (const what of ["pointerdown", "keydown", "wheel", "touchmove"]) addEventListener(what, used, { passive: true });
setInterval(look, LOOK_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
document.body.addEventListener("cut", look);
}
