#!/usr/bin/env bash
# @modelcontextprotocol/sdk 1.32.2 (npm): a client that holds a refresh token cannot step up.
#
# Seen: a tool asks for one scope more, by 403 with `insufficient_scope` and `scope` (RFC 6750 section 3.1). The transport calls `auth()` with that scope, and
# `auth()` redeems the refresh token, which it prefers to asking the user; the scope is not sent along, and a refresh may not widen it anyway (RFC 6749
# section 6). The same token's scopes come back, the second 403 is taken for a loop, and the call fails: the user was never asked. The same client
# without a refresh token sends its user to the authorization endpoint.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --prefix "$folder" --silent --no-audit --no-fund @modelcontextprotocol/sdk@1.32.2
cat > "$folder/seen.mjs" <<'JS'
import { createServer } from 'node:http';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const seen = [];
const server = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  const origin = `http://127.0.0.1:${server.address().port}`;
  const json = (value) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
  if (request.url === '/.well-known/oauth-protected-resource/mcp') return json({ resource: `${origin}/mcp`, authorization_servers: [origin] });
  if (request.url === '/.well-known/oauth-authorization-server') {
    return json({
      issuer: origin, authorization_endpoint: `${origin}/authorize`, token_endpoint: `${origin}/token`, response_types_supported: ['code'],
      grant_types_supported: ['authorization_code', 'refresh_token'], code_challenge_methods_supported: ['S256'], token_endpoint_auth_methods_supported: ['none'],
    });
  }
  if (request.url === '/token') {
    const form = new URLSearchParams(body);
    seen.push(`token request: ${form.get('grant_type')}, scope ${form.get('scope')}`);
    return json({ access_token: 'a2', token_type: 'Bearer', refresh_token: 'r2', scope: 'read' });
  }
  if (request.url === '/mcp') {
    seen.push('403');
    const challenge = `Bearer error="insufficient_scope", scope="read write", resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp"`;
    return response.writeHead(403, { 'www-authenticate': challenge }).end();
  }
  return response.writeHead(404).end();
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const url = new URL(`http://127.0.0.1:${server.address().port}/mcp`);

for (const refreshToken of ['r1', undefined]) {
  let tokens = { access_token: 'a1', token_type: 'Bearer', scope: 'read', refresh_token: refreshToken, issuer: url.origin };
  const transport = new StreamableHTTPClientTransport(url, {
    authProvider: {
      redirectUrl: 'http://localhost:3000/callback',
      clientMetadata: { redirect_uris: ['http://localhost:3000/callback'] },
      clientInformation: () => ({ client_id: 'c', issuer: url.origin }),
      tokens: () => tokens,
      saveTokens: (saved) => { tokens = saved; },
      saveCodeVerifier: () => {},
      codeVerifier: () => '',
      redirectToAuthorization: (to) => { seen.push(`the user is asked for ${to.searchParams.get('scope')}`); },
    },
  });
  const outcome = await transport.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' }).then(() => 'sent', (error) => error.message);
  console.log(`${refreshToken ? 'with' : 'without'} a refresh token: ${seen.splice(0).join('; ')}; ${outcome}`);
}
server.close();
JS
seen=$(node "$folder/seen.mjs" 2>/dev/null)
expected="with a refresh token: 403; token request: refresh_token, scope null; 403; Streamable HTTP error: Server returned 403 after trying upscoping
without a refresh token: 403; the user is asked for read write; Unauthorized"
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "the SDK behaves otherwise now" >&2; exit 1; }
