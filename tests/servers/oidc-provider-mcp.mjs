// `oidc-provider` as the authorization server of MCP servers: clients register themselves, and say by `resource` which server a token is for.
// Prints `ready URL`, ends when its standard input does.

import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const SCOPES = 'notes:read notes:write';

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const key = { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), kid: 'es256', use: 'sig', alg: 'ES256' };

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  cookies: { keys: ['cookies of a test'] },
  scopes: ['openid', 'offline_access', ...SCOPES.split(' ')],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  // The user has nothing against anything that is asked for, and against nothing else.
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ accountId: ctx.oidc.session.accountId, clientId: ctx.oidc.client.clientId });
    grant.addOIDCScope(ctx.oidc.params.scope);
    [].concat(ctx.oidc.params.resource ?? []).forEach((resource) => grant.addResourceScope(resource, ctx.oidc.params.scope));
    await grant.save();
    return grant;
  },
  // Clients register with the scopes that they were asked for first, and step up later: they may ask for all that there are.
  extraClientMetadata: { properties: ['steps_up'], validator: (_, __, ___, metadata) => { metadata.scope = `openid offline_access ${SCOPES}`; } },
  interactions: { url: (_, interaction) => `/test/login/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({ scope: SCOPES, audience: resource, accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
    },
  },
});

const serve = provider.callback();
server.on('request', async (request, response) => {
  if (!request.url.startsWith('/test/login/')) return serve(request, response);
  return provider.interactionFinished(request, response, { login: { accountId: 'ada' }, consent: {} }, { mergeWithLastSubmission: true });
});

console.log(`ready ${issuer}`);
process.stdin.on('end', () => process.exit(0)).resume();
