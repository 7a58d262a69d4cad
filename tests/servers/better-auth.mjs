// `better-auth` as the authorization server of one MCP server, whose URL is the argument; all it keeps is in memory.
// Prints `ready URL`, ends when its standard input does.

import { createServer } from 'node:http';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { getAuthTables } from 'better-auth/db';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';
import { oauthProvider, oauthProviderAuthServerMetadata, oauthProviderOpenIdConfigMetadata } from '@better-auth/oauth-provider';

const [resource] = process.argv.slice(2);
const SCOPES = ['openid', 'offline_access', 'notes:read', 'notes:write'];
const USER = { name: 'Ada', email: 'ada@example.com', password: 'the password of a test' };

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const origin = `http://127.0.0.1:${server.address().port}`;
const issuer = `${origin}/api/auth`;
const tables = {};

const options = {
  baseURL: origin,
  secret: 'a secret of a test, of thirty-two characters at least',
  database: memoryAdapter(tables),
  emailAndPassword: { enabled: true },
  advanced: { database: { generateId: ({ model }) => (model === 'user' ? 'ada' : crypto.randomUUID()) } },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: 'error' },
  plugins: [
    jwt({ jwks: { keyPairConfig: { alg: 'ES256' } }, jwt: { issuer } }),
    oauthProvider({
      loginPage: '/test/login',
      consentPage: '/test/consent',
      scopes: SCOPES,
      resources: [{ identifier: resource, allowedScopes: SCOPES }],
      clientRegistrationDefaultResources: [resource],
      allowDynamicClientRegistration: true,
      allowUnauthenticatedClientRegistration: true,
      silenceWarnings: { oauthAuthServerConfig: true, openidConfig: true },
    }),
  ],
};
for (const { modelName } of Object.values(getAuthTables(options))) tables[modelName] = [];
const auth = betterAuth(options);
await auth.api.signUpEmail({ body: USER });

const handler = toNodeHandler(auth);
const documents = new Map([
  ['/.well-known/oauth-authorization-server/api/auth', oauthProviderAuthServerMetadata(auth)],
  ['/.well-known/openid-configuration/api/auth', oauthProviderOpenIdConfigMetadata(auth)],
  ['/api/auth/.well-known/openid-configuration', oauthProviderOpenIdConfigMetadata(auth)],
]);

// What the pages do when their user has nothing against anything: POST, and go where the answer says.
async function page(request, response, path, body) {
  const url = new URL(request.url, origin);
  const answer = await fetch(`${issuer}${path}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json', origin, cookie: request.headers.cookie ?? '' },
    body: JSON.stringify({ ...body, oauth_query: url.search.slice(1) }),
  });
  const said = await answer.json();
  response.writeHead(said.url ? 302 : 500, { ...(said.url && { location: said.url }), 'set-cookie': answer.headers.getSetCookie() });
  response.end(JSON.stringify(said));
}

server.on('request', async (request, response) => {
  const { pathname } = new URL(request.url, origin);
  if (process.env.VERBOSE) console.error(request.method, request.url);
  if (pathname === '/test/login') return page(request, response, '/sign-in/email', { email: USER.email, password: USER.password });
  if (pathname === '/test/consent') return page(request, response, '/oauth2/consent', { accept: true });
  if (documents.has(pathname)) {
    const document = await documents.get(pathname)(new Request(`${origin}${request.url}`));
    response.writeHead(document.status, Object.fromEntries(document.headers));
    return response.end(await document.text());
  }
  return handler(request, response);
});

console.log(`ready ${issuer}`);
process.stdin.on('end', () => process.exit(0)).resume();
