// An API behind auth0's middleware, over TLS, that takes bound tokens with their proof or their certificate: issuer and audience in, `ready URL` out.

import { createServer } from 'node:https';
import { readFileSync } from 'node:fs';
import express from 'express';
import { auth } from 'express-oauth2-jwt-bearer';

const [issuer, audience] = process.argv.slice(2);
const tls = (name) => readFileSync(new URL(`../tls/${name}`, import.meta.url));
const app = express();
app.use(auth({
  issuer,
  audience,
  jwksUri: `${issuer}/jwks`,
  dpop: { enabled: true },
  getCertificate: (request) => request.socket.getPeerX509Certificate?.()?.toString(),
}));
app.all('/orders', (request, response) => response.json({ method: request.method, cnf: request.auth.payload.cnf ?? null }));
// What the middleware refuses, with its own status and challenge.
app.use((error, _request, response, _next) => response.status(error.status ?? 500).set(error.headers).send(error.code));
const options = { key: tls('loopback.pem'), cert: tls('loopback.pem'), requestCert: true, rejectUnauthorized: false };
const server = createServer(options, app);
server.listen(0, '127.0.0.1', () => console.log(`ready https://127.0.0.1:${server.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();
