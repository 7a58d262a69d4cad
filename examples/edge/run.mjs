// Runs a program for wasm32-unknown-unknown as an edge worker's host would, and ends with its exit code: `node run.mjs PROGRAM.wasm`.
import { readFile } from "node:fs/promises";

const module = await WebAssembly.compile(await readFile(process.argv[2]));
// Verifying needs nothing of the host: whatever is called all the same ends the run with its name.
const imports = {};
for (const { module: from, name } of WebAssembly.Module.imports(module)) {
  imports[from] ??= {};
  imports[from][name] = () => {
    throw new Error(`${from}.${name} was called`);
  };
}
const { exports } = await WebAssembly.instantiate(module, imports);
const otherwise = exports.main(0, 0);
console.log(`token-edge under Node ${process.version}: ${otherwise} verdicts other than expected`);
process.exit(otherwise);
