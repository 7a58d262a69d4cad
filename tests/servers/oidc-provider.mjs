// A certified OpenID Provider on loopback, configured for tests: prints `ready URL`, ends when its standard input does.

import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { readFileSync } from 'node:fs';
import { X509Certificate, createHash, createPublicKey, createSecretKey, generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';
import { createLocalJWKSet, jwtVerify } from 'jose';

const AUDIENCE = 'https://api.test';
const SECRET = createSecretKey(Buffer.from('a shared secret of sixty-four bytes at the least, for tests and for tests alone'));
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'HS256', 'HS384', 'HS512'];
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const SCOPES = 'read:users write:users';
const tls = (name) => readFileSync(new URL(`../tls/${name}`, import.meta.url));
const counts = new Map();
let generation = 0;
let provider;
let previous = [];
// Where certificates are asked for, and whether proofs have to hold a nonce.
let secure;
let nonces = false;
// To whom tokens are encrypted, as a JWK.
let recipient;
// What the client `app-encrypted` has registered for, and the key it is encrypted to.
let registered = {};

function newKeys() {
  generation += 1;
  const kinds = [
    ['rsa', 'rsa', { modulusLength: 2048 }],
    ['p256', 'ec', { namedCurve: 'P-256' }],
    ['p384', 'ec', { namedCurve: 'P-384' }],
    ['p521', 'ec', { namedCurve: 'P-521' }],
    ['ed25519', 'ed25519', {}],
  ];
  return kinds.map(([name, kind, options]) => ({
    ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }),
    kid: `${name}-${generation}`,
    use: 'sig',
  }));
}

function clients() {
  const common = { client_secret: 'secret of the client: sixty-four bytes or more, as long as HS512\'s hash is', redirect_uris: ['https://client.test/callback'], response_types: ['code'] };
  const app = (alg) => ({
    ...common,
    client_id: `app-${alg}`,
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials', EXCHANGE],
    id_token_signed_response_alg: alg,
    scope: `openid offline_access email profile ${SCOPES}`,
  });
  const api = (id, more) => ({ ...common, client_id: id, grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...more });
  // Known by its certificate: by the name in it, or by the certificate itself (RFC 8705 sections 2.1 and 2.2).
  const certificate = new X509Certificate(tls('client.pem'));
  const known = {
    ...certificate.publicKey.export({ format: 'jwk' }),
    x5c: [certificate.raw.toString('base64')],
    'x5t#S256': createHash('sha256').update(certificate.raw).digest('base64url'),
  };
  const bound = (id, method, more) => ({
    ...app('ES256'),
    client_id: id,
    client_secret: undefined,
    token_endpoint_auth_method: method,
    tls_client_certificate_bound_access_tokens: true,
    ...more,
  });
  return [
    bound('mtls-ca', 'tls_client_auth', { tls_client_auth_subject_dn: 'CN=orders' }),
    bound('mtls-self-signed', 'self_signed_tls_client_auth', { jwks: { keys: [known] } }),
    { ...app('ES256'), client_id: 'dpop-public', client_secret: undefined, token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'] },
    { ...app('ES256'), client_id: 'dpop-only', dpop_bound_access_tokens: true },
    ...ALGORITHMS.map(app),
    { ...app('RS256'), client_id: 'app-encrypted', ...registered },
    api('api', {}),
    api('api-signed', { introspection_signed_response_alg: 'ES256' }),
  ];
}

function configuration(keys) {
  return {
    jwks: { keys },
    // It refuses loopback addresses, where tests listen, and gives up after 2.5 s.
    fetch: (url, { dispatcher, signal, ...options }) => fetch(url, options),
    clients: clients(),
    cookies: { keys: ['cookies of a test'] },
    scopes: ['openid', 'offline_access', 'email', 'profile', ...SCOPES.split(' ')],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    pkce: { required: () => false },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none', 'tls_client_auth', 'self_signed_tls_client_auth'],
    enabledJWA: {
      dPoPSigningAlgValues: ALGORITHMS.filter((alg) => !alg.startsWith('HS')),
      idTokenSigningAlgValues: ALGORITHMS,
      introspectionSigningAlgValues: ALGORITHMS,
      idTokenEncryptionAlgValues: ['dir', 'RSA-OAEP', 'RSA-OAEP-256', 'ECDH-ES'],
      idTokenEncryptionEncValues: ['A128GCM', 'A256GCM', 'A128CBC-HS256', 'A256CBC-HS512'],
    },
    rotateRefreshToken: true,
    issueRefreshToken: async () => true,
    extraTokenClaims: async (ctx) => (ctx.oidc.params?.grant_type === EXCHANGE ? { act: { sub: ctx.oidc.client.clientId } } : undefined),
    findAccount: async (_, id) => ({
      accountId: id,
      claims: async () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: 'Ada Lovelace' }),
    }),
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({ accountId: ctx.oidc.session.accountId, clientId: ctx.oidc.client.clientId });
      grant.addOIDCScope(`openid offline_access email profile ${SCOPES}`);
      [].concat(ctx.oidc.params.resource ?? []).forEach((resource) => grant.addResourceScope(resource, SCOPES));
      await grant.save();
      return grant;
    },
    interactions: { url: (_, interaction) => `/test/login/${interaction.uid}` },
    discovery: { mtls_endpoint_aliases: { token_endpoint: `${secure}/token`, userinfo_endpoint: `${secure}/me` } },
    features: {
      encryption: { enabled: true },
      backchannelLogout: { enabled: true },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => nonces },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        selfSignedTlsClientAuth: true,
        tlsClientAuth: true,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.()?.toString(),
        certificateAuthorized: (ctx) => ctx.socket.authorized,
        certificateSubjectMatches: (ctx, _, expected) => ctx.socket.getPeerX509Certificate().subject === expected,
      },
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        // The resource's path names the format: an algorithm, or `opaque`; behind it `alg` and `enc` where the token is encrypted.
        getResourceServerInfo: (_, resource) => {
          const [alg, ...encrypted] = new URL(resource).pathname.slice(1).split('/');
          const common = { scope: SCOPES, audience: AUDIENCE, accessTokenTTL: 600 };
          if (alg === 'opaque') return { ...common, accessTokenFormat: 'opaque' };
          const jwt = { sign: { alg, key: alg.startsWith('HS') ? SECRET : undefined } };
          if (encrypted.length === 2) {
            const secret = recipient.kty === 'oct' && createSecretKey(Buffer.from(recipient.k, 'base64url'));
            const key = secret || createPublicKey({ key: recipient, format: 'jwk' });
            jwt.encrypt = { alg: encrypted[0], enc: encrypted[1], key, kid: recipient.kid };
          }
          return { ...common, accessTokenFormat: 'jwt', jwt };
        },
      },
    },
  };
}

// RFC 8693: the subject of an access token of ours, opaque or JWT, in a new JWT that names the caller as the actor.
async function exchange(ctx) {
  const { provider: op, client, params } = ctx.oidc;
  const { AccessToken, ClientCredentials } = op;
  const opaque = (await AccessToken.find(params.subject_token)) ?? (await ClientCredentials.find(params.subject_token));
  let accountId = opaque?.accountId ?? opaque?.clientId;
  if (!accountId) {
    const keys = createLocalJWKSet({ keys: previous.map(({ kty, crv, x, y, n, e, kid, use }) => ({ kty, crv, x, y, n, e, kid, use })) });
    const { payload } = await jwtVerify(params.subject_token, keys, { issuer: op.issuer, typ: 'at+jwt' }).catch(() => {
      ctx.throw(400, 'invalid_request', { error: 'invalid_request', expose: true });
    });
    accountId = payload.sub;
  }
  const token = new AccessToken({ accountId, client, scope: 'read:users', gty: 'token-exchange' });
  token.resourceServer = new op.ResourceServer(`${AUDIENCE}/ES256`, configuration([]).features.resourceIndicators.getResourceServerInfo(ctx, `${AUDIENCE}/ES256`));
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: token.expiration,
    scope: 'read:users',
  };
}

function start(issuer, keys) {
  previous = keys;
  provider = new Provider(issuer, configuration(keys));
  provider.registerGrantType(EXCHANGE, exchange, ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'resource', 'scope']);
  provider.on('server_error', (_, error) => console.error(error));
}

async function answer(request, response) {
  const url = new URL(request.url, 'http://loopback');
  counts.set(url.pathname, (counts.get(url.pathname) ?? 0) + 1);
  if (url.pathname === '/test/counts') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(Object.fromEntries(counts)));
  } else if (url.pathname === '/test/rotate') {
    start(provider.issuer, [...newKeys(), ...(url.searchParams.has('overlap') ? previous : [])]);
    response.end('rotated');
  } else if (url.pathname === '/test/encrypt-to') {
    recipient = JSON.parse(url.searchParams.get('jwk'));
    response.end('known');
  } else if (url.pathname === '/test/register') {
    registered = JSON.parse(url.searchParams.get('metadata'));
    start(provider.issuer, previous);
    response.end('registered');
  } else if (url.pathname === '/test/log-out') {
    const client = await provider.Client.find('app-encrypted');
    const refused = await client.backchannelLogout('ada', 's1').catch((error) => error.response?.status ?? error);
    response.end(`${refused ?? 'told'}`);
  } else if (url.pathname === '/test/nonces') {
    nonces = true;
    response.end('asked for');
  } else if (url.pathname.startsWith('/test/login/')) {
    await provider.interactionFinished(request, response, { login: { accountId: 'ada' }, consent: {} }, { mergeWithLastSubmission: true });
  } else {
    await provider.callback()(request, response);
  }
}

const serve = (request, response) => answer(request, response).catch((error) => {
  console.error(error);
  response.statusCode = 500;
  response.end();
});
const server = createServer(serve);
const identity = { key: tls('loopback.pem'), cert: tls('loopback.pem'), ca: tls('client.pem') };
const secureServer = createSecureServer({ ...identity, requestCert: true, rejectUnauthorized: false }, serve);
secureServer.listen(0, '127.0.0.1', () => {
  secure = `https://127.0.0.1:${secureServer.address().port}`;
  server.listen(0, '127.0.0.1', () => {
    const issuer = `http://127.0.0.1:${server.address().port}`;
    start(issuer, newKeys());
    console.log(`ready ${issuer}`);
  });
});
process.stdin.on('end', () => process.exit(0)).resume();
