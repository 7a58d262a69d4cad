// `mcp-remote`, the bridge that brings programs which only speak over standard input to servers that ask for tokens: started as those
// programs start it, with a browser that consents at once.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const home = mkdtempSync(join(tmpdir(), 'mcp-remote-'));
try {
  // What opens a browser on a desktop: here it follows the redirects to mcp-remote's own callback.
  const browser = join(home, 'x-www-browser');
  writeFileSync(browser, `#!/bin/sh\nexec "${process.execPath}" "${fileURLToPath(new URL('browser.mjs', import.meta.url))}" "$1"\n`);
  chmodSync(browser, 0o755);
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [fileURLToPath(import.meta.resolve('mcp-remote/package.json').replace('package.json', 'dist/proxy.js')), process.argv[2]],
    env: { ...process.env, PATH: `${home}${delimiter}${process.env.PATH}`, BROWSER: browser, HOME: home, MCP_REMOTE_CONFIG_DIR: home },
    stderr: process.env.VERBOSE ? 'inherit' : 'ignore',
  });
  const client = new Client({ name: 'bridge', version: '1' });
  await client.connect(transport);
  const answer = await client.callTool({ name: 'whoami', arguments: {} });
  await client.close();
  if (answer.content[0].text !== 'ada, no token in sight') throw new Error(`unexpected: ${answer.content[0].text}`);
  console.log('shown mcp-remote (npm) | 401, both metadata documents, registration, sign-in in a browser, a tool');
} finally {
  rmSync(home, { recursive: true, force: true });
}
