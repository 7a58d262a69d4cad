// What the conformance suite lacks here. It imports `globSync`, which Node.js has since version 22, for scenarios about skills: this lets Debian's
// Node.js run the others. And the scenarios that judge servers know no tokens: with MCP_TOKEN their requests have one, as a client's would after
// its sign-in.
import * as fs from 'node:fs';
import http from 'node:http';
import { register } from 'node:module';

const stands = {};
if (!('globSync' in fs)) {
  stands.fs = 'export * from "node:fs"; export { default } from "node:fs"; export const globSync = () => { throw new Error("no globSync in this Node.js"); };';
}

if (process.env.MCP_TOKEN) {
  const authorization = `Bearer ${process.env.MCP_TOKEN}`;
  const bare = globalThis.fetch;
  globalThis.fetch = (to, init = {}) => {
    const headers = new Headers(init.headers ?? (to instanceof Request ? to.headers : undefined));
    headers.set('authorization', authorization);
    return bare(to, { ...init, headers });
  };
  const raw = http.request;
  http.request = (options, ...rest) => raw({ ...options, headers: { ...options.headers, authorization } }, ...rest);
  stands.undici = `import undici from ${JSON.stringify(import.meta.resolve('undici'))};
    export const request = (to, options = {}) => undici.request(to, { ...options, headers: { ...options.headers, authorization: ${JSON.stringify(authorization)} } });`;
}

const hooks = `const stands = ${JSON.stringify(stands)};
  export async function resolve(name, context, next) {
    return Object.hasOwn(stands, name) && context.parentURL?.includes('/@modelcontextprotocol/conformance/')
      ? { shortCircuit: true, url: 'data:text/javascript,' + encodeURIComponent(stands[name]) }
      : next(name, context);
  }`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
