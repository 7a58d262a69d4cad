// An API in Fastify behind its plugin for JWTs, with keys from a JWK Set: issuer and audience in, `ready URL` out.

import jwt from '@fastify/jwt';
import Fastify from 'fastify';
import buildGetJwks from 'get-jwks';

const [issuer, audience] = process.argv.slice(2);
const app = Fastify();
const keys = buildGetJwks({ issuersWhitelist: [issuer], providerDiscovery: true });
app.register(jwt, {
  decode: { complete: true },
  secret: (_request, { header: { kid, alg }, payload: { iss } }) => keys.getPublicKey({ kid, alg, domain: iss }),
  verify: { algorithms: ['RS256'], allowedIss: issuer, allowedAud: audience, requiredClaims: ['iss', 'aud', 'exp'] },
});
app.addHook('onRequest', async (request, reply) => {
  try {
    await request.jwtVerify();
  } catch {
    return reply.code(401).send();
  }
  if (!String(request.user.scope ?? '').split(' ').includes('read:users')) return reply.code(403).send();
});
app.get('/users', async () => []);
await app.listen({ host: '127.0.0.1', port: 0 });
console.log(`ready http://127.0.0.1:${app.server.address().port}`);
process.stdin.on('end', () => process.exit(0)).resume();
