// Starts the cluster's name server as a process of its own. Plain JavaScript, and the cache first, as mesh/agent/main.js.
import { existsSync } from "node:fs";
import { enableCompileCache, flushCompileCache } from "node:module";

enableCompileCache();
const here = ["./serve.js", "./serve.ts"].find((name) => existsSync(new URL(name, import.meta.url)));
const { serveNames } = await import(here);
const [address, zoneFile] = process.argv.slice(2);
await serveNames(address, zoneFile);
flushCompileCache();
