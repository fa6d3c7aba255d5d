// The page's one script: hears the stream, fetches what changed, says when the line is dead, sends a release.
// The stream carries signals only; what is shown comes from the server, escaped there (docs/adr/0003-page.md).
"use strict";
const SILENT_MS = 5000, FETCH_MS = 250;
const byId = (id) => document.getElementById(id);
const lang = document.body.dataset.lang;
const policy = window.trustedTypes ? trustedTypes.createPolicy("app", { createHTML: (text) => text }) : { createHTML: (text) => text };
let heardAt = performance.now(), isCurrent = byId("link").dataset.current === "yes";
let version = null, newestSeq = Number(document.body.dataset.seq);

// -- the live part ------------------------------------------------------------------------------------------------
let fetching = false, wanted = false;
async function refresh() {
  wanted = true;
  if (fetching) return;
  fetching = true;
  while (wanted) {
    wanted = false;
    try {
      const answer = await fetch(`/live?lang=${lang}`);
      if (answer.status === 401) { location.reload(); return; }
      if (answer.ok) show(await answer.text());
    } catch { /* the banner says it */ }
    await new Promise((done) => setTimeout(done, FETCH_MS));
  }
  fetching = false;
}

function show(text) {
  const next = document.createElement("template");
  next.innerHTML = policy.createHTML(text);
  const focused = document.activeElement && document.activeElement.id;
  for (const id of ["alarms", "doors", "events"]) {
    const now = byId(id), then = next.content.getElementById(id);
    if (!now || !then || now.dataset.text === then.innerHTML) continue;
    const open = [...now.querySelectorAll("details[open]")].map((part) => part.id);
    const plain = then.innerHTML;
    if (id === "events") mark(then);
    now.replaceChildren(...then.childNodes);
    now.dataset.text = plain;
    for (const part of open) byId(part)?.setAttribute("open", "");
  }
  if (focused && document.activeElement.id !== focused) byId(focused)?.focus({ preventScroll: true });
}

function mark(events) {
  let newest = newestSeq;
  const rows = [];
  for (const row of events.querySelectorAll("tr[data-seq]")) {
    const seq = Number(row.dataset.seq);
    if (seq > newestSeq) { row.classList.add("new"); rows.push(row); }
    newest = Math.max(newest, seq);
  }
  newestSeq = newest;
  setTimeout(() => rows.forEach((row) => row.classList.remove("new")), 2000);
}

// -- the line -----------------------------------------------------------------------------------------------------
function judge() {
  const alive = isCurrent && performance.now() - heardAt < SILENT_MS;
  byId("cut").hidden = alive;
  byId("link").dataset.current = alive ? "yes" : "no";
}

let source = null;
function listen() {
  source = new EventSource(`/api/v1/events/stream?after=${document.body.dataset.seq}`);
  source.addEventListener("record", (event) => { heardAt = performance.now(); document.body.dataset.seq = event.lastEventId; refresh(); });
  source.addEventListener("snapshot", (event) => {
    heardAt = performance.now();
    const now = JSON.parse(event.data);
    isCurrent = now.is_current;
    byId("clock").textContent = now.at.slice(11, 19);
    if (now.version !== version || document.querySelector("[data-state=released]")) refresh();
    version = now.version;
    judge();
  });
  // A browser gives up for good on an answer other than 200 (a restart, too many pages): begin again ourselves.
  source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000); });
}
addEventListener("pagehide", () => source.close());
addEventListener("pageshow", (event) => { if (event.persisted) { listen(); refresh(); } });
setInterval(judge, 500);
listen();

// -- release ------------------------------------------------------------------------------------------------------
const dialog = byId("release"), answer = byId("release-answer"), go = byId("release-go"), reason = byId("release-reason");
let portal = null, key = null;
function say(text, kind) { answer.textContent = text; answer.className = kind; }

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-release]");
  if (!button) return;
  portal = button.dataset.release;
  key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (octet) => octet.toString(16).padStart(2, "0")).join("");
  byId("release-door").textContent = button.dataset.name;
  reason.value = "";
  go.disabled = false;
  say("", "");
  dialog.showModal();
  reason.focus();
});
byId("release-cancel").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => byId(`go-${portal}`)?.focus({ preventScroll: true }));
dialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!reason.value || go.disabled) return;
  go.disabled = true;
  say(answer.dataset.sent, "");
  try {
    const sent = await fetch(`/api/v1/portals/${encodeURIComponent(portal)}/release`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key, "Accept-Language": lang },
      body: JSON.stringify({ reason: reason.value }),
    });
    const told = await sent.json();
    if (sent.ok) say(`${answer.dataset.done} ${told.seq}`, "good");
    else say(told.detail, "bad");
    if (sent.ok) setTimeout(() => { if (dialog.open) dialog.close(); }, 1500);
  } catch {
    say(answer.dataset.failed, "bad");
  }
});
