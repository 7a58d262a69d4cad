// The conformance suite imports `globSync`, which Node.js has since version 22, for scenarios about skills. This lets Debian's Node.js run the others.
import * as fs from 'node:fs';
import { register } from 'node:module';

if (!('globSync' in fs)) {
  const stand = 'export * from "node:fs"; export { default } from "node:fs"; export const globSync = () => { throw new Error("no globSync in this Node.js"); };';
  const hooks = `export async function resolve(name, context, next) {
    return name === 'fs' && context.parentURL?.includes('/@modelcontextprotocol/conformance/')
      ? { shortCircuit: true, url: ${JSON.stringify(`data:text/javascript,${encodeURIComponent(stand)}`)} }
      : next(name, context);
  }`;
  register(`data:text/javascript,${encodeURIComponent(hooks)}`);
}
