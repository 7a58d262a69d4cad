// A browser whose user has nothing against anything: keeps cookies, follows redirects, and stops where an address begins with `until`.

import { get } from 'node:http';

// Not `fetch`, which says of itself that it is a script (`Sec-Fetch-Mode`), and is answered otherwise by some.
const visit = (to, cookie) => new Promise((resolve, reject) => {
  get(to, { headers: { accept: 'text/html', cookie } }, async (answer) => {
    let text = '';
    for await (const part of answer.setEncoding('utf8')) text += part;
    resolve({ status: answer.statusCode, headers: answer.headers, text });
  }).on('error', reject);
});

export async function browse(from, until) {
  let jar = [];
  let to = new URL(from);
  for (let left = 15; left > 0; left -= 1) {
    const sent = jar.filter(({ host, path }) => host === to.host && to.pathname.startsWith(path));
    const cookie = sent.map(({ name, value }) => `${name}=${value}`).join('; ');
    const answer = await visit(to, cookie);
    for (const field of answer.headers['set-cookie'] ?? []) {
      const [, name, value] = field.match(/^([^=]+)=([^;]*)/);
      const path = field.match(/;\s*path=([^;]*)/i)?.[1] ?? '/';
      jar = jar.filter((known) => known.host !== to.host || known.name !== name || known.path !== path);
      if (value !== '') jar.push({ host: to.host, name, value, path });
    }
    const next = answer.headers.location;
    if (process.env.VERBOSE) console.error(to.href, answer.status, next);
    if (next === undefined) {
      if (until === undefined && answer.status < 300) return to;
      throw new Error(`${to.pathname} was answered with ${answer.status} and leads nowhere: ${answer.text}`);
    }
    to = new URL(next, to);
    if (until !== undefined && to.href.startsWith(until)) return to;
  }
  throw new Error('redirected without end');
}

// As a program: opens its argument.
if (process.argv[1] === import.meta.filename) await browse(process.argv[2]);
