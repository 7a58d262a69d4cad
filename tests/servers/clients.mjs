// Clients that nobody here wrote, against an issuer of ours: URL, client id, secret and audience in, one line for each thing done out.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { ManagementClient, TokenProvider } from 'auth0';

// The last line with `/delegation` in it; later ones have no such call.
const { AuthenticationClient } = createRequire(import.meta.url)('auth0-v3');

const [url, id, secret, audience, idToken, refreshToken] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const shown = (client, what) => console.log(`shown ${client} | ${what}`);

async function oauth4webapi() {
  const issuer = new URL(url);
  const client = { client_id: id };
  for (const algorithm of ['oidc', 'oauth2']) {
    const response = await oauth.discoveryRequest(issuer, { ...insecure, algorithm });
    const server = await oauth.processDiscoveryResponse(issuer, response);
    shown('oauth4webapi 3.8', `discovery (${algorithm})`);
    for (const method of ['ClientSecretBasic', 'ClientSecretPost']) {
      const parameters = new URLSearchParams({ scope: 'read:users', resource: audience });
      const authentication = oauth[method](secret);
      const answer = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, insecure);
      const tokens = await oauth.processClientCredentialsResponse(server, client, answer);
      assert.equal(tokens.token_type, 'bearer');
      // The client's own check of a JWT access token (RFC 9068), against our keys.
      const request = new Request('https://api.test/', { headers: { authorization: `Bearer ${tokens.access_token}` } });
      const claims = await oauth.validateJwtAccessToken(server, request, audience, insecure);
      assert.equal(claims.client_id, id);
      shown('oauth4webapi 3.8', `client credentials with ${method}, and RFC 9068 checks of the token`);
      const user = await oauth.userInfoRequest(server, client, tokens.access_token, insecure);
      assert.equal((await oauth.processUserInfoResponse(server, client, claims.sub, user)).sub, claims.sub);
      shown('oauth4webapi 3.8', 'userinfo');
    }
    const wrong = await oauth.clientCredentialsGrantRequest(server, client, oauth.ClientSecretBasic('wrong'), new URLSearchParams(), insecure);
    await assert.rejects(oauth.processClientCredentialsResponse(server, client, wrong), (error) => {
      // 401 with a challenge or an OAuth error: either is what RFC 6749 section 5.2 asks for.
      return error.error === 'invalid_client' || error.code === oauth.WWW_AUTHENTICATE_CHALLENGE;
    });
    shown('oauth4webapi 3.8', 'a wrong secret is an error it understands');
  }
}

async function openidClient() {
  const config = await openid.discovery(new URL(url), id, secret, undefined, { execute: [openid.allowInsecureRequests] });
  const tokens = await openid.clientCredentialsGrant(config, { scope: 'read:users', resource: audience });
  assert.equal(tokens.expires_in > 0, true);
  shown('openid-client 6.8', 'discovery and client credentials');
  assert.equal((await openid.fetchUserInfo(config, tokens.access_token, id)).sub, id);
  await assert.rejects(openid.fetchUserInfo(config, 'not-a-token', id), { code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' });
  shown('openid-client 6.8', 'userinfo, and its challenge to a bad token');
  await assert.rejects(openid.clientCredentialsGrant(config, { scope: 'bad"scope' }), { error: 'invalid_scope' });
  shown('openid-client 6.8', 'an invalid scope is an error it understands');
}

async function joseKeys() {
  const metadata = await (await fetch(`${url}/.well-known/openid-configuration`)).json();
  const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: id, client_secret: secret, audience });
  const answer = await (await fetch(metadata.token_endpoint, { method: 'POST', body })).json();
  const { payload, protectedHeader } = await jwtVerify(answer.access_token, keys, { issuer: url, audience, typ: 'at+jwt' });
  assert.equal(payload.sub, id);
  shown('jose 6.2', `verifies a token in ${protectedHeader.alg} by the published keys`);
}

async function auth0() {
  // The SDK knows https alone; only the scheme is changed under way.
  const plain = (input, init) => fetch(String(input.url ?? input).replace('https://', 'http://'), init);
  const provider = new TokenProvider({ domain: new URL(url).host, clientId: id, clientSecret: secret, audience, fetch: plain });
  const token = await provider.getAccessToken();
  assert.equal(JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).aud, audience);
  assert.equal(await provider.getAccessToken(), token, 'it believes our expires_in');
  shown('auth0 7.1 (npm)', 'management token by client credentials with an audience');
}

// Auth0's management SDK with tokens of our issuer, by scope.
async function manager() {
  const config = await openid.discovery(new URL(url), id, secret, undefined, { execute: [openid.allowInsecureRequests] });
  const home = new URL(url);
  // The SDK knows https and one path; the issuer lives under a path of its own.
  const plain = (input, init) =>
    fetch(String(input.url ?? input).replace(`https://${home.host}/`, `http://${home.host}${home.pathname}/`), init);
  const as = async (scope) => {
    const tokens = await openid.clientCredentialsGrant(config, { scope, resource: audience });
    return new ManagementClient({ domain: home.host, token: tokens.access_token, fetch: plain, telemetry: false });
  };
  return { config, as };
}

async function management() {
  const { as } = await manager();
  const reader = await as('read:users read:device_credentials');
  const user = await reader.users.get('auth0|ada');
  assert.equal(user.identities[0].connection, 'google-oauth2');
  assert.equal('access_token' in user.identities[0], false);
  shown('auth0 7.1 (npm)', "management: a user, without the provider's token");
  const trusted = await as('read:users read:user_idp_tokens');
  assert.equal((await trusted.users.get('auth0|ada')).identities[0].access_token, 'a token of a provider');
  shown('auth0 7.1 (npm)', "management: a user, with the provider's token");
  await assert.rejects((await as('read:nothing')).users.get('auth0|ada'), { statusCode: 403 });
  await assert.rejects(reader.users.get('auth0|nobody'), { statusCode: 404 });
  shown('auth0 7.1 (npm)', 'management: 403 and 404 are errors it understands');
}

async function deviceCredentials() {
  const { config, as } = await manager();
  const refresh = () => openid.refreshTokenGrant(config, refreshToken);
  const client = await as('read:device_credentials delete:device_credentials');
  const list = async () => (await client.deviceCredentials.list({ user_id: 'auth0|ada', client_id: id })).data;
  const [credential, ...others] = await list();
  assert.deepEqual([credential.user_id, credential.client_id, credential.type, others.length], ['auth0|ada', id, 'refresh_token', 0]);
  await assert.rejects((await as('read:device_credentials')).deviceCredentials.delete(credential.id), { statusCode: 403 });
  await client.deviceCredentials.delete(credential.id);
  assert.deepEqual(await list(), []);
  await assert.rejects(refresh(), { error: 'invalid_grant' });
  shown('auth0 7.1 (npm)', 'management: device credentials listed and deleted, and the refresh token is good no more');
}

async function delegation() {
  const tokens = new AuthenticationClient({ domain: new URL(url).host, clientId: id, clientSecret: secret }).tokens;
  tokens.baseUrl = url; // the SDK knows https alone
  const request = { target: 'target', api_type: 'app', grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', scope: 'openid' };
  for (const proof of [{ id_token: idToken }, { refresh_token: refreshToken }]) {
    const answer = await tokens.getDelegationToken({ ...request, ...proof });
    assert.equal(answer.token_type, 'Bearer');
    // Signed with the secret of the client that it is for.
    const key = new TextEncoder().encode('the secret of the client that delegation is for');
    const { payload } = await jwtVerify(answer.id_token, key, { issuer: url, audience: 'target', algorithms: ['HS256'] });
    assert.equal(payload.sub, 'auth0|ada');
    shown('auth0 3.7 (npm)', `delegation by ${Object.keys(proof)[0]}, for another client`);
  }
  for (const [proof, error] of [
    [{ ...request, id_token: `${idToken}A` }, 'invalid_grant'],
    [{ ...request, refresh_token: 'nobody-issued-it' }, 'invalid_grant'],
    [{ ...request, id_token: idToken, target: 'nobody' }, 'invalid_request'],
  ]) {
    await assert.rejects(tokens.getDelegationToken(proof), (failed) => failed.response.data.error === error);
  }
  shown('auth0 3.7 (npm)', 'delegation: a changed ID token, an unknown refresh token and an unknown target are errors');
}

await oauth4webapi();
await openidClient();
await joseKeys();
await auth0();
await management();
await delegation();
await deviceCredentials();
