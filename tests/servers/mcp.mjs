// The official TypeScript SDK against a guarded MCP server: from the first 401 to two tools' answers, the second one after a step-up.
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport, StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { browse } from './browser.mjs';

const CALLBACK = 'http://localhost:3000/callback';
const url = new URL(process.argv[2]);
const kept = {};
let code;

const provider = {
  redirectUrl: CALLBACK,
  clientMetadata: {
    client_name: 'TypeScript SDK',
    application_type: 'native',
    redirect_uris: [CALLBACK],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  redirectToAuthorization: async (to) => {
    const back = await browse(to, CALLBACK);
    code = back.searchParams.get('code');
    if (code === null) throw new Error(`signed in without success: ${back.search}`);
  },
};

// The user signs in between two attempts.
async function signedIn(attempt) {
  for (let left = 3; ; left -= 1) {
    const transport = new StreamableHTTPClientTransport(url, { authProvider: provider });
    try {
      return await attempt(transport);
    } catch (error) {
      if (left === 0) throw error;
      if (error instanceof UnauthorizedError) await transport.finishAuth(code);
      // Where it holds a refresh token the SDK answers a 403 with a refresh, which brings no more scopes. Without one it asks the user.
      else if (error instanceof StreamableHTTPError && error.code === 403 && kept.tokens.refresh_token) kept.tokens = { ...kept.tokens, refresh_token: undefined };
      else throw error;
    } finally {
      // Its stream of events would keep this program alive.
      await transport.close();
    }
  }
}

async function call(name) {
  return signedIn(async (transport) => {
    const client = new Client({ name: 'sdk', version: '1' });
    await client.connect(transport);
    const answer = await client.callTool({ name, arguments: {} });
    await client.close();
    return answer.content[0].text;
  });
}

const check = (shown, expected) => {
  if (shown !== expected) throw new Error(`expected ${expected}, not ${shown}`);
};
check(await call('whoami'), 'ada, no token in sight');
check(kept.tokens.scope.includes('notes:write'), false);
check(await call('clear'), 'gone');
check(kept.tokens.scope.includes('notes:write'), true);
console.log('shown @modelcontextprotocol/sdk (npm) | 401, both metadata documents, registration, sign-in, a tool; 403, step-up, another tool');
