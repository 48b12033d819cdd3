/** What changes and what is asked while many Envoys are watched: whole weights, so that one answer tells the version. */
import { type Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** Where one Envoy takes requests. */
export interface Egress {
  readonly host: string;
  readonly port: number;
}

/** Between two requests to one Envoy, milliseconds: what the figures are true to. */
const pause = 10;
const settle = 500;

/**
 * Changes the weight `rounds` times between 0 and 100 and asks every Envoy all the while.
 *
 * @returns milliseconds from the change until the last Envoy answered with the other version, a round each
 * @throws where an Envoy still answers with the former version 30 s after a change
 */
export async function flipAll(
  egresses: readonly Egress[],
  {
    host,
    agent,
    rounds,
    change,
  }: {
    /** Of the requests. */
    readonly host: string;
    readonly agent: Agent;
    readonly rounds: number;
    readonly change: (canaryWeight: 0 | 100) => Promise<void>;
  },
): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const canary = round % 2 === 0;
    const wanted = canary ? "canary" : "primary";
    const from = performance.now();
    const watched = egresses.map(async (egress, index) => {
      await sleep((index * pause) / egresses.length);
      return seen(egress, host, agent, wanted, from + 30_000);
    });
    const changed = change(canary ? 100 : 0);
    const ats = await Promise.all(watched);
    await changed;
    times.push(Math.max(...ats) - from);
    await sleep(settle);
  }
  return times;
}

/** When the first answer of `wanted` came. */
async function seen(
  egress: Egress,
  host: string,
  agent: Agent,
  wanted: string,
  until: number,
): Promise<number> {
  for (;;) {
    const answer = await ask(egress, host, agent);
    const now = performance.now();
    if (answer === wanted) return now;
    if (now > until)
      throw new Error(
        `${egress.host}:${egress.port} still answers \`${answer.slice(0, 80)}\` instead of ${wanted}`,
      );
    await sleep(pause);
  }
}

/** The body that an Envoy's upstream answers with; the status where it is no 200, or why there is none. */
export function ask({ host: address, port }: Egress, host: string, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    const call = request({ host: address, port, agent, headers: { host } }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      response.once("end", () => resolve(response.statusCode === 200 ? body : String(response.statusCode)));
    });
    call.once("error", (error) => resolve(error.message));
    call.end();
  });
}
