/**
 * The demo's load client: an open loop of `RATE` requests a second through its sidecar.
 *
 * Its own record of what it saw, one JSON line a request, goes to `RECORD`:
 * `{start, end, status, version}`; epoch milliseconds with fractions, status 0 where no answer came, version
 * as the answer names it, null if none.
 */
import { createWriteStream } from "node:fs";
import { Agent, get } from "node:http";

const url = process.env.URL_TO_CALL ?? "http://shop/";
const interval = 1000 / Number(process.env.RATE ?? 250);
const record = createWriteStream(process.env.RECORD ?? "/dev/null", { flags: "a" });
const agent = new Agent({ keepAlive: true, maxSockets: 64, proxyEnv: process.env });

const now = (): number => performance.timeOrigin + performance.now();

function note(start: number, status: number, version: string | null): void {
  record.write(`${JSON.stringify({ start, end: now(), status, version })}\n`);
}

function send(): void {
  const start = now();
  let answered = false;
  const request = get(url, { agent, timeout: 5_000 }, (response) => {
    answered = true;
    const version = response.headers["x-version"];
    response.on("end", () =>
      note(start, response.statusCode ?? 0, typeof version === "string" ? version : null),
    );
    response.on("error", () => note(start, 0, typeof version === "string" ? version : null));
    response.resume();
  });
  request.on("timeout", () => request.destroy(new Error("no answer in 5 s")));
  request.on("error", () => {
    if (!answered) note(start, 0, null);
  });
}

const began = performance.now();
let sent = 0;
let stopping = false;
function tick(): void {
  // What the timer slept too long is made up for, a second's worth at most: the rate holds on a busy machine.
  const due = Math.min(Math.floor((performance.now() - began) / interval), sent + Math.ceil(1000 / interval));
  for (; sent < due; sent++) send();
  if (!stopping) setTimeout(tick, interval);
}
tick();

process.on("SIGTERM", () => {
  stopping = true;
  setTimeout(() => record.end(() => process.exit(0)), 300);
});
