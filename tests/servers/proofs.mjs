// Clients that nobody here wrote, proving their keys to an API of ours with nonces: issuer, client id, secret and resource, then the API's URL in, one line for each thing done out.

import assert from 'node:assert/strict';
import * as dpop from 'dpop';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

const [issuer, id, secret, resource, api] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const shown = (client, what) => console.log(`shown ${client} | ${what}`);
const scope = 'read:users';
const parameters = () => new URLSearchParams({ grant_type: 'client_credentials', scope, resource });
const users = new URL(`${api}/users?page=2`);

// By hand: proofs from `dpop`, everything else from `fetch`.
async function byHand(alg) {
  const keys = await dpop.generateKeyPair(alg);
  const authorization = `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`;
  const endpoint = `${issuer}/token`;
  const token = async (nonce) => fetch(endpoint, {
    method: 'POST',
    headers: { authorization, dpop: await dpop.generateProof(keys, endpoint, 'POST', nonce) },
    body: parameters(),
  });
  let answer = await token();
  if (answer.status === 400) answer = await token(answer.headers.get('dpop-nonce'));
  const { access_token: accessToken, token_type: type } = await answer.json();
  assert.equal(type, 'DPoP');
  const send = (proof, authorization = `DPoP ${accessToken}`) => fetch(users, { headers: { authorization, ...(proof ? { dpop: proof } : {}) } });
  // The URL as it is, query and all: whoever takes it apart is on the other side.
  const prove = (nonce, htm = 'GET', htu = users.href, bound = accessToken) => dpop.generateProof(keys, htu, htm, nonce, bound);

  const first = await send(await prove());
  assert.equal(first.status, 401);
  assert.match(first.headers.get('www-authenticate'), /DPoP .*error="use_dpop_nonce"/);
  const nonce = first.headers.get('dpop-nonce');
  const proof = await prove(nonce);
  assert.equal((await send(proof)).status, 200);
  for (const [why, refused] of [
    ['a proof that came before', () => send(proof)],
    ['a proof for another method', async () => send(await prove(nonce, 'POST'))],
    ['a proof for another URL', async () => send(await prove(nonce, 'GET', `${api}/me`))],
    ['a proof with another token', async () => send(await prove(nonce, 'GET', users.href, 'another'))],
    ['a proof by another key', async () => send(await dpop.generateProof(await dpop.generateKeyPair(alg), users.href, 'GET', nonce, accessToken))],
    ['no proof', () => send(undefined)],
    ['a bound token as a bearer token', () => send(undefined, `Bearer ${accessToken}`)],
  ]) {
    const { status } = await refused();
    assert.ok(status === 401 || status === 400, `${why}: ${status}`);
  }
  const next = await prove(nonce);
  assert.equal((await send(next)).status, 200, 'refusals spend nothing');
  shown('dpop 2.1', `proofs in ${alg}: taken once, and refused for another method, URL, token or key`);
}

async function oauth4webapi(alg) {
  const url = new URL(issuer);
  const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure));
  const client = { client_id: id };
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(alg));
  const twice = async (request) => {
    try {
      return await request();
    } catch (error) {
      if (!oauth.isDPoPNonceError(error)) throw error;
      return request();
    }
  };
  const tokens = await twice(async () => {
    const answer = await oauth.clientCredentialsGrantRequest(server, client, oauth.ClientSecretBasic(secret), parameters(), { ...insecure, DPoP });
    return oauth.processClientCredentialsResponse(server, client, answer);
  });
  assert.equal(tokens.token_type, 'dpop');
  const ask = () => oauth.protectedResourceRequest(tokens.access_token, 'GET', users, new Headers(), null, { ...insecure, DPoP });
  let asked = 0;
  const response = await twice(() => {
    asked += 1;
    return ask();
  });
  assert.equal(response.status, 200);
  assert.equal((await ask()).status, 200);
  assert.equal(asked, 2, 'the nonce is asked for once, and believed from then on');
  shown('oauth4webapi 3.8', `protected resource with DPoP (${alg}), and our nonce`);
}

async function openidClient(alg) {
  const config = await openid.discovery(new URL(issuer), id, secret, undefined, { execute: [openid.allowInsecureRequests] });
  const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair(alg));
  const tokens = await openid.clientCredentialsGrant(config, { scope, resource }, { DPoP });
  for (const method of ['GET', 'GET']) {
    const response = await openid.fetchProtectedResource(config, tokens.access_token, users, method, null, new Headers(), { DPoP });
    assert.equal(response.status, 200);
  }
  await assert.rejects(openid.fetchProtectedResource(config, tokens.access_token, users, 'GET'), { code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' });
  shown('openid-client 6.8', `protected resource with DPoP (${alg}), and our challenge without it`);
}

for (const alg of ['ES256', 'Ed25519', 'PS256', 'RS256']) await byHand(alg);
for (const alg of ['ES256', 'ES384', 'ES512', 'Ed25519']) await oauth4webapi(alg);
await openidClient('ES256');
