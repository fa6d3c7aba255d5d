// Signs one change with the officer's passkey. What is signed comes from the server; the controller checks it again.
"use strict";
const form = document.getElementById("sign");
const fault = document.getElementById("sign-fault");

function say(words) {
  fault.textContent = words;
  fault.hidden = words === "";
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  say("");
  button.disabled = true;
  try {
    const assertion = await passkey.getAssertion(JSON.parse(form.dataset.options));
    const answer = await fetch(form.dataset.signature, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(assertion),
    });
    if (answer.ok) return location.reload();
    const problem = await answer.json();
    say(`${problem.title}: ${problem.detail}`);
    if (answer.status === 401) location.reload();
  } catch {
    say(form.dataset.cancelled);
  }
  button.disabled = false;
});
