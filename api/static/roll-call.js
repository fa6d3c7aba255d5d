// The roll call: a tick holds at once, on the phone; it is sent when there is a network, and again until it is answered.
// What waits lies in localStorage, pseudonyms alone. Each tick has an id of its own: sent twice, it is recorded once.
"use strict";
const WAITING = "sekisho-roll-call", AGAIN_MS = 5000, SENT_MAX = 100;
const roll = document.getElementById("roll"), away = document.getElementById("no-network"), waiting = document.getElementById("waiting");
let isSending = false;

function kept() { try { return JSON.parse(localStorage.getItem(WAITING)) ?? []; } catch { return []; } }
function keep(ticks) { if (ticks.length) localStorage.setItem(WAITING, JSON.stringify(ticks)); else localStorage.removeItem(WAITING); }

function newId() { return Array.from(crypto.getRandomValues(new Uint8Array(16)), (octet) => octet.toString(16).padStart(2, "0")).join(""); }

/** Shows a state on somebody's line, and moves whoever was found below the others. */
function mark(line, state, isUnsent) {
  const was = line.dataset.state;
  line.dataset.state = state;
  line.classList.remove("open", "found", "missing");
  line.classList.add(state);
  line.classList.toggle("unsent", isUnsent);
  for (const button of line.querySelectorAll("[data-tick]")) button.setAttribute("aria-pressed", String(button.dataset.tick === state));
  if (was !== state && state === "found") line.parentElement.append(line);
}

/** What waits to be sent lies over what the server knows. */
function lay() {
  const ticks = kept();
  for (const line of roll.querySelectorAll("li.unsent")) line.classList.remove("unsent");
  for (const tick of ticks) {
    const line = roll.querySelector(`li[data-cardholder="${CSS.escape(tick.cardholder)}"]`);
    if (line) mark(line, tick.is_found ? "found" : "missing", true);
  }
  for (const count of roll.querySelectorAll("[data-count]")) count.textContent = String(roll.querySelectorAll(`li[data-state="${count.dataset.count}"]`).length);
  waiting.textContent = ticks.length ? `${ticks.length} ${waiting.dataset.one}` : "";
}

async function send() {
  const ticks = kept().slice(0, SENT_MAX);
  if (!ticks.length || isSending) return;
  isSending = true;
  try {
    const answer = await fetch("/api/v1/roll-call/ticks", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ticks }) });
    if (answer.status === 409 || answer.status === 422) keep(kept().filter((one) => !ticks.some((sent) => sent.id === one.id))); // of another day
    if (answer.ok) {
      const done = new Set((await answer.json()).ticks.map((one) => one.id));
      keep(kept().filter((one) => !done.has(one.id)));
      document.body.dispatchEvent(new CustomEvent("moved"));
    }
    away.hidden = answer.ok || answer.status < 500;
  } catch { away.hidden = false; } finally { isSending = false; lay(); }
}

roll.addEventListener("submit", (event) => {
  const line = event.target.closest("li[data-cardholder]"), state = event.submitter?.dataset.tick;
  if (!line || !state) return;
  event.preventDefault();
  keep([...kept(), { id: newId(), cardholder: line.dataset.cardholder, is_found: state === "found" }]);
  lay();
  event.submitter.focus({ preventScroll: true });
  send();
});
roll.addEventListener("htmx:after:swap", lay);
addEventListener("online", send);
addEventListener("offline", () => { away.hidden = false; });
setInterval(send, AGAIN_MS);
away.hidden = navigator.onLine !== false;
lay();
send();

if ("serviceWorker" in navigator) { // kept for when there is no network; where there is no worker, the page is what it is
  const policy = globalThis.trustedTypes?.createPolicy("app", { createScriptURL: (address) => address === "/roll-call/worker.js" ? address : "" });
  const address = policy ? policy.createScriptURL("/roll-call/worker.js") : "/roll-call/worker.js";
  navigator.serviceWorker.register(address, { scope: "/roll-call" }).then(async () => {
    const worker = (await navigator.serviceWorker.ready).active;
    worker?.postMessage({ keep: [location.href, ...[...document.querySelectorAll("link[rel=stylesheet], link[rel=icon]")].map((one) => one.href), ...[...document.scripts].map((one) => one.src).filter(Boolean)] });
  }).catch(() => undefined);
}
