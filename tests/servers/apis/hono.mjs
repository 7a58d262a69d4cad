// An API in Hono behind its own middleware for JWK Sets: issuer and audience in, `ready URL` out.

import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { jwk } from 'hono/jwk';

const [issuer, audience] = process.argv.slice(2);
const app = new Hono();
app.use(jwk({ jwks_uri: `${issuer}/jwks`, alg: ['RS256'], verification: { typ: 'at+jwt', iss: issuer, aud: audience } }));
app.get('/users', (context) => {
  const scopes = String(context.get('jwtPayload').scope ?? '').split(' ');
  return scopes.includes('read:users') ? context.json([]) : context.body(null, 403);
});
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, ({ port }) => console.log(`ready http://127.0.0.1:${port}`));
process.stdin.on('end', () => process.exit(0)).resume();
