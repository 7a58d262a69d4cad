// An API in Express behind auth0's middleware: issuer, audience and perhaps `strict` in, `ready URL` out.

import express from 'express';
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer';

const [issuer, audience, strict] = process.argv.slice(2);
const app = express();
// It waits 30 s between two requests for keys unless told otherwise.
app.use(auth({ issuerBaseURL: issuer, audience, strict: strict === 'strict', cooldownDuration: 0 }));
app.get('/users', requiredScopes('read:users'), (_request, response) => response.json([]));
app.use((error, _request, response, _next) => response.status(error.status ?? 500).set(error.headers ?? {}).end());
const server = app.listen(0, '127.0.0.1', () => console.log(`ready http://127.0.0.1:${server.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();
