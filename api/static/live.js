// The live page: marks what is new, and releases a door after a reason was chosen (and the passkey was shown).
"use strict";
const live = document.getElementById("live");
let newestSeq = Number(document.body.dataset.seq);

live.addEventListener("htmx:after:swap", () => {
  const rows = [...live.querySelectorAll("tr[data-seq]")].filter((row) => Number(row.dataset.seq) > newestSeq);
  for (const row of rows) row.classList.add("new");
  newestSeq = Math.max(newestSeq, ...rows.map((row) => Number(row.dataset.seq)));
  setTimeout(() => rows.forEach((row) => row.classList.remove("new")), 2000);
});

// -- release ------------------------------------------------------------------------------------------------------
const dialog = document.getElementById("release"), answer = document.getElementById("release-answer");
const go = document.getElementById("release-go"), reason = document.getElementById("release-reason");
let portal = null, key = null;
function say(text, kind) { answer.textContent = text; answer.className = `answer ${kind}`; }

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-release]");
  if (!button) return;
  portal = button.dataset.release;
  key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (octet) => octet.toString(16).padStart(2, "0")).join("");
  document.getElementById("release-door").textContent = button.dataset.name;
  reason.value = "";
  go.disabled = false;
  say("", "");
  dialog.showModal();
  reason.focus();
});
dialog.addEventListener("close", () => document.getElementById(`go-${portal}`)?.focus({ preventScroll: true }));

function post(address, body, headers = {}) {
  return fetch(address, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
}

async function stepUp() { // throws where the passkey is not shown
  const asked = await (await post("/api/v1/session/step-up/options", {})).json();
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(asked.publicKey);
  const shown = await navigator.credentials.get({ publicKey: options });
  const done = await post("/api/v1/session/step-up", { response: shown.toJSON() });
  if (!done.ok) throw new Error((await done.json()).detail);
}

async function release() {
  const address = `/api/v1/portals/${encodeURIComponent(portal)}/release`;
  return post(address, { reason: reason.value }, { "Idempotency-Key": key });
}

dialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!reason.value || go.disabled) return;
  go.disabled = true;
  say(answer.dataset.sent, "");
  try {
    let sent = await release(), told = await sent.json();
    if (told.code === "step_up") {
      say(answer.dataset.stepup, "");
      try { await stepUp(); } catch (error) {
        say(error.name === "NotAllowedError" ? answer.dataset.stepup : error.message, "bad");
        go.disabled = false;
        return;
      }
      sent = await release();
      told = await sent.json();
    }
    if (sent.ok) say(`${answer.dataset.done} ${told.seq}`, "good");
    else say(told.detail, "bad");
    if (sent.ok) setTimeout(() => { if (dialog.open) dialog.close(); }, 1500);
  } catch {
    say(answer.dataset.failed, "bad");
  }
});
