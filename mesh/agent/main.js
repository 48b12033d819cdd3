// Starts the sidecar as a process of its own. Plain JavaScript, and the cache first: from a checkout, Node would load
// its type stripper in every sidecar (30 MB each); with the cache only the first one does.
import { existsSync } from "node:fs";
import { enableCompileCache, flushCompileCache } from "node:module";

enableCompileCache();
// the repository holds TypeScript, the package JavaScript
const here = ["./start.js", "./start.ts"].find((name) => existsSync(new URL(name, import.meta.url)));
const { loadAgent } = await import(here);
const run = await loadAgent(process.argv.slice(2));
// now that all is loaded: a sidecar may live for months and end by SIGKILL
flushCompileCache();
process.exit(await run(process.env));
