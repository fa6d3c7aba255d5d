// The live page: marks what is new, and releases a door after a reason was chosen (and the passkey was shown:
// `post`, `options` and `told` are passkey.js).
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

async function stepUp() { // throws where the passkey is not shown
  const asked = await post("/api/v1/session/step-up/options", {});
  const credential = await navigator.credentials.get({ publicKey: options(asked.publicKey) });
  await post("/api/v1/session/step-up", { response: told(credential) });
}

function release() {
  return fetch(`/api/v1/portals/${encodeURIComponent(portal)}/release`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": key },
    body: JSON.stringify({ reason: reason.value }),
  });
}

dialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!reason.value || go.disabled) return;
  go.disabled = true;
  say(answer.dataset.sent, "");
  try {
    let sent = await release(), found = await sent.json();
    if (found.code === "step_up") {
      say(answer.dataset.stepup, "");
      try { await stepUp(); } catch (error) {
        say(error.name === "NotAllowedError" ? answer.dataset.stepup : error.message, "bad");
        go.disabled = false;
        return;
      }
      sent = await release();
      found = await sent.json();
    }
    if (sent.ok) say(`${answer.dataset.done} ${found.seq}`, "good");
    else say(found.detail, "bad");
    if (sent.ok) setTimeout(() => { if (dialog.open) dialog.close(); }, 1500);
  } catch {
    say(answer.dataset.failed, "bad");
  }
});
