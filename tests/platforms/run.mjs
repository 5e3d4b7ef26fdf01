// Runs the program's WebAssembly: node run.mjs FILE.wasm
import { readFileSync, writeSync } from "node:fs";

let memory;
const write = (descriptor) => (at, length) => {
  const bytes = new Uint8Array(memory.buffer, at, length);
  for (let done = 0; done < length; ) done += writeSync(descriptor, bytes, done);
};
const imports = { env: { print: write(1), report: write(2) } };
const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), imports);
memory = instance.exports.memory;
instance.exports.run();
