// A form that asks for the passkey before it is sent (data-step-up), and a file that is too large before it is sent.
"use strict";
async function post(address, body) {
  return fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

async function showPasskey() { // throws where it is not shown
  const asked = await (await post("/api/v1/session/step-up/options", {})).json();
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(asked.publicKey);
  const shown = await navigator.credentials.get({ publicKey: options });
  const done = await post("/api/v1/session/step-up", { response: shown.toJSON() });
  if (!done.ok) throw new Error((await done.json()).detail);
}

function complain(form, text) {
  const place = form.querySelector(".answer") ?? document.getElementById("said");
  place.textContent = text;
  place.className = "answer bad";
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const file = form.querySelector("input[type=file]")?.files[0];
  if (file && file.size > Number(form.dataset.most)) {
    event.preventDefault();
    complain(form, form.dataset.tooLarge);
    return;
  }
  if (!("stepUp" in form.dataset)) return;
  event.preventDefault();
  try {
    await showPasskey();
  } catch (error) {
    complain(form, error.name === "NotAllowedError" ? form.dataset.stepUp : error.message);
    return;
  }
  form.submit();
});
