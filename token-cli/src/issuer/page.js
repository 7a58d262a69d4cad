// The page of the development issuer: asks its own server, and writes answers as text, never as markup.
"use strict";
const at = (id) => document.getElementById(id);

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

function row(cells) {
  const row = document.createElement("tr");
  for (const text of cells) row.appendChild(document.createElement("td")).textContent = text ?? "";
  return row;
}

async function show() {
  const state = await ask("/development/state");
  at("issuer").textContent = state.issuer;
  at("audience").textContent = state.audience;
  at("jwks-uri").textContent = state.jwks_uri;
  at("hits").textContent = Object.entries(state.hits).map(([name, hits]) => `${name} ${hits}`).join(", ");
  at("keys").replaceChildren(...state.keys.map((key) => row([key.kid, key.kty, key.alg, key.kid === state.signing ? "signs" : ""])));
}

function decoded(part) {
  const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

async function mint(form) {
  const wish = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  const { token } = await ask("/development/mint", wish);
  at("token").value = token;
  const [header, claims] = token.split(".").slice(0, 2).map(decoded);
  at("claims").textContent = `${JSON.stringify(header, null, 2)}\n${JSON.stringify(claims, null, 2)}`;
  at("claims").hidden = false;
  await show();
}

const say = (text) => { at("said").textContent = text; };
const trying = (work) => async (event) => {
  event?.preventDefault();
  try { say(""); await work(event); } catch (error) { say(error.message); }
};

at("mint").addEventListener("submit", trying((event) => mint(event.target)));
at("copy").addEventListener("click", trying(async () => { await navigator.clipboard.writeText(at("token").value); say("copied"); }));
at("rotate").addEventListener("click", trying(async () => { await ask("/development/rotate", { hard: false }); await show(); }));
at("rotate-hard").addEventListener("click", trying(async () => { await ask("/development/rotate", { hard: true }); await show(); }));
at("faults").addEventListener("click", trying(async (event) => {
  const fault = event.target.dataset.fault;
  if (!fault) return;
  await ask("/development/fault", { fault });
  at("fault").textContent = fault;
}));
trying(show)();
