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

let shapes = [];
let secret = "";
let looks = 0;

async function show() {
  // Of two that are asked for, the later one counts, whichever comes first.
  const look = ++looks;
  const state = await ask("/development/state");
  if (look !== looks) return;
  ({ shapes, secret } = state);
  if (at("shapes").options.length === 0) at("shapes").replaceChildren(...shapes.map(({ name, title }) => new Option(title, name)));
  for (const button of at("faults").querySelectorAll("button")) button.setAttribute("aria-pressed", button.dataset.fault === state.fault);
  at("issuer").textContent = state.issuer;
  at("audience").textContent = state.audience;
  at("jwks-uri").textContent = state.jwks_uri;
  at("hits").textContent = Object.entries(state.hits).map(([name, hits]) => `${name} ${hits}`).join(", ");
  at("keys").replaceChildren(...state.keys.map((key) => row([key.kid, key.kty, key.alg, key.kid === state.signing ? "signs" : ""])));
}

function note() {
  const shape = shapes.find(({ name }) => name === at("shapes").value);
  const notes = [...shape.notes, ...(shape.shared_secret ? [`Signed with a secret that issuer and API share, here: ${secret}`] : [])];
  at("notes").replaceChildren(...notes.map((text) => { const item = document.createElement("li"); item.textContent = text; return item; }));
  at("notes").hidden = notes.length === 0;
}

function decoded(part) {
  const plain = part.replaceAll("-", "+").replaceAll("_", "/").replaceAll("=", "");
  const bytes = Uint8Array.from(atob(plain), (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

function object(text) {
  let value;
  try { value = JSON.parse(text); } catch { value = null; }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error('more claims: expected a JSON object, as {"email": "ada@example.com"}');
  return value;
}

async function mint(form) {
  const wish = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  if (wish.lifetime) wish.lifetime = Number(wish.lifetime);
  if (wish.claims) wish.claims = object(wish.claims);
  const { token } = await ask("/development/mint", wish);
  at("token").value = token;
  const [header, claims] = token.split(".").slice(0, 2).map(decoded);
  at("claims").textContent = `${JSON.stringify(header, null, 2)}\n${JSON.stringify(claims, null, 2)}`;
  at("claims").hidden = false;
  await show();
}

const say = (text, where = "said", failed = false) => { at(where).textContent = text; at(where).classList.toggle("failed", failed); };
const trying = (work, where) => async (event) => {
  event?.preventDefault();
  try { say("", where); await work(event); } catch (error) { say(error.message, where, true); }
};

at("mint").addEventListener("submit", trying((event) => mint(event.target)));
at("copy").addEventListener("click", trying(async () => { await navigator.clipboard.writeText(at("token").value); say("copied"); }));
at("rotate").addEventListener("click", trying(async () => { await ask("/development/rotate", { hard: false }); await show(); }));
at("rotate-hard").addEventListener("click", trying(async () => { await ask("/development/rotate", { hard: true }); await show(); }));
at("faults").addEventListener("click", trying(async (event) => {
  const fault = event.target.dataset.fault;
  if (!fault) return;
  await ask("/development/fault", { fault });
  await show();
}, "broken"));
at("shapes").addEventListener("change", note);
trying(show)().then(note);
