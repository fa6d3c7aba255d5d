// Passkeys, for every page that asks for one. A button says what to do:
//   data-passkey="get" | "create"   sign with a passkey, or make one
//   data-options="/api/…"           POST there gives {publicKey}; or data-public-key='{…}', the options themselves
//   data-send="/api/…"              where the answer goes: as {response}, or bare with data-bare
//   data-next="/…"                  where to go then (empty: this page again)
//   data-ticket                     the ticket of a one-time link goes with both; it stands behind # in the address
// What went wrong is said in the element whose id is in aria-describedby. No cookie and no secret is touched here.
"use strict";
const fromText = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (sign) => sign.charCodeAt(0));
const toText = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

// Over its id and its public key, as api/signin/key_code.py makes it: an id alone could be borrowed.
async function codeOf(credential) {
  const key = credential.response.getPublicKey?.();
  if (!key) return "";
  const signed = new Uint8Array([...new Uint8Array(credential.rawId), ...new Uint8Array(key)]);
  return inHex(await crypto.subtle.digest("SHA-256", signed)).slice(0, 16).replace(/(.{4})(?=.)/g, "$1 ");
}

const inHex = (bytes) => Array.from(new Uint8Array(bytes), (one) => one.toString(16).padStart(2, "0")).join("");

// The ticket leaves the address at once: it would stay in the history of the browser.
const ticket = decodeURIComponent(location.hash.slice(1));
if (ticket && document.querySelector("[data-ticket]")) history.replaceState(null, "", location.pathname + location.search);

function options(publicKey) {
  const listed = (list) => (list ?? []).map((one) => ({ ...one, id: fromText(one.id) }));
  const made = { ...publicKey, challenge: fromText(publicKey.challenge) };
  if (publicKey.user) made.user = { ...publicKey.user, id: fromText(publicKey.user.id) };
  if (publicKey.excludeCredentials) made.excludeCredentials = listed(publicKey.excludeCredentials);
  if (publicKey.allowCredentials) made.allowCredentials = listed(publicKey.allowCredentials);
  return made;
}

function told(credential) {
  const parts = {};
  for (const name of ["clientDataJSON", "authenticatorData", "signature", "attestationObject"])
    if (credential.response[name]) parts[name] = toText(credential.response[name]);
  return { id: credential.id, rawId: toText(credential.rawId), type: credential.type, response: parts };
}

async function post(address, body) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Accept-Language": document.documentElement.lang },
    body: JSON.stringify(body),
  });
  const said = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw new Error(said.detail ?? said.title ?? "");
  return said;
}

async function ask(button) {
  const { passkey, options: from, publicKey, send, next } = button.dataset;
  const beside = "ticket" in button.dataset ? { ticket } : {};
  const asked = publicKey ? JSON.parse(publicKey) : (await post(from, beside)).publicKey;
  const credential = await navigator.credentials[passkey]({ publicKey: options(asked) });
  const code = passkey === "create" ? await codeOf(credential) : "";
  const answer = await post(send, "bare" in button.dataset ? told(credential) : { ...beside, response: told(credential) });
  if (code) sessionStorage.setItem("registered", code); // shown on the next page: of this browser's own making
  button.dispatchEvent(new CustomEvent("passkey", { bubbles: true, detail: answer }));
  if ("back" in button.dataset) history.back(); // to the form whose sending was refused, as it was filled in
  else if (next === undefined) location.reload();
  else if (next) location.assign(next);
}

async function pressed(button, act) {
  const place = document.getElementById(button.getAttribute("aria-describedby"));
  const say = (text) => { if (place) { place.textContent = text; place.hidden = !text; } };
  say("");
  button.disabled = true;
  try {
    await act(button);
  } catch (error) {
    // The browser's own refusals (nothing chosen, too late, no passkey here) carry no words for people.
    say(error instanceof DOMException || !error.message ? place?.dataset.failed ?? "" : error.message);
  }
  button.disabled = false;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-passkey]");
  if (button) pressed(button, ask);
  const link = event.target.closest("[data-link]");
  if (link) pressed(link, async () => { await post(link.dataset.link, { ticket }); location.assign(link.dataset.next); });
});

for (const one of document.querySelectorAll("[data-needs-ticket]")) one.hidden = !ticket;
for (const one of document.querySelectorAll("[data-without-ticket]")) one.hidden = Boolean(ticket);
const registered = sessionStorage.getItem("registered");
for (const one of document.querySelectorAll("[data-needs-registered]")) one.hidden = !registered;
for (const one of document.querySelectorAll("[data-registered]")) one.textContent = registered;
if (!window.PublicKeyCredential) for (const one of document.querySelectorAll("[data-without-passkeys]")) one.hidden = false;

// Somebody who is signed in came by a link from elsewhere, whose first request carries no cookie: look once more.
const was = document.body.dataset.look;
if (was) fetch(was).then((answer) => { if (answer.ok) location.replace(document.body.dataset.back); });
