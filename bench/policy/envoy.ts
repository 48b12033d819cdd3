/** What policies cost a real Envoy: the same request through no RBAC, rules as a tree, and rules as a list. */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { HttpFilterSchema } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { createLogger } from "../../lib/log.ts";
import { findEnvoy } from "../../local/envoy/find.ts";
import { type Form, httpFilters } from "../../policy/envoy/filters.ts";
import { evaluator } from "../../policy/evaluate/evaluate.ts";
import { httpManager } from "../../policy/harness/bootstrap.ts";
import { startEnvoy } from "../../policy/harness/envoy.ts";
import { freePorts } from "../../policy/harness/port.ts";
import { readable } from "../../policy/harness/readable.ts";
import { quantile } from "../rollback/figures.ts";
import { compiled } from "./own.ts";
import { type Ask, asks, requestOf } from "./policies.ts";

export interface EnvoyCost {
  /** Median microseconds of a request without RBAC. */
  readonly plainUs: number;
  /** Added by each form: median over rounds of the differences of the blocks' medians. */
  readonly treeExtraUs: number;
  readonly listExtraUs: number;
  readonly rounds: number;
}

/** Blocks of each form, one after the other in turn. */
const rounds = 14;
const requestsABlock = 400;
const policies = 10_000;
const variants = ["plain", "tree", "list"] as const;

export async function envoyCost(say: (line: string) => void): Promise<EnvoyCost> {
  const policy = compiled(policies);
  const evaluate = evaluator(policy);
  const decides = (ask: Ask) => evaluate({ ...requestOf(ask), identities: undefined }).decision === "allow";
  const filtersOf = (form: Form): object[] =>
    httpFilters(policy, { form }).map((filter) => readable(HttpFilterSchema, filter));
  const ports = await freePorts(variants.length);
  const binary = await findEnvoy({ fetch: false, logger: createLogger("warn") });
  const envoy = await startEnvoy(
    () => ({
      listeners: variants.map((name, index) =>
        listener(name, ports[index] ?? 0, name === "plain" ? [] : filtersOf(name)),
      ),
      clusters: [],
    }),
    { binary, patience: 120_000 },
  );
  try {
    const [plain, tree, list] = await Promise.all([open(ports[0]), open(ports[1]), open(ports[2])]);
    const clients = { plain, tree, list };
    const medians: Readonly<Record<(typeof variants)[number], number>>[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const block = { plain: 0, tree: 0, list: 0 };
      for (const name of variants)
        block[name] = await medianOf(clients[name], round, name === "plain" ? () => true : decides);
      // The first round is to get warm.
      if (round > 0) medians.push(block);
    }
    for (const name of variants) clients[name].destroy();
    const extra = (name: "tree" | "list") =>
      quantile(
        medians.map((block) => block[name] - block.plain),
        0.5,
      );
    say(`${rounds} rounds of ${requestsABlock} requests through each of ${variants.join(", ")}`);
    return {
      plainUs: quantile(
        medians.map(({ plain }) => plain),
        0.5,
      ),
      treeExtraUs: extra("tree"),
      listExtraUs: extra("list"),
      rounds,
    };
  } finally {
    await envoy.stop();
  }
}

function listener(name: string, port: number, httpFilters: readonly object[]): object {
  const route = { match: { prefix: "/" }, directResponse: { status: 200 } };
  return {
    name,
    address: { socketAddress: { address: "127.0.0.1", portValue: port } },
    filterChains: [{ filters: [httpManager({ httpFilters, manager: {}, route }, [])] }],
  };
}

async function open(port = 0): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.setNoDelay(true);
  await once(socket, "connect");
  return socket;
}

/**
 * Sends requests one after the other, as the other engines get them but without a certificate; the median of their
 * microseconds. @throws Error where Envoy decides one otherwise than `allowed` says
 */
async function medianOf(socket: Socket, round: number, allowed: (ask: Ask) => boolean): Promise<number> {
  const times: number[] = [];
  for (const ask of asks(policies, requestsABlock, round * requestsABlock)) {
    const request = `${ask.method} ${ask.path} HTTP/1.1\r\nhost: orders\r\ncontent-length: 0\r\n\r\n`;
    const start = performance.now();
    const answered = once(socket, "data");
    socket.write(request);
    const [answer]: readonly unknown[] = await answered;
    times.push((performance.now() - start) * 1000);
    const status = Number(String(answer).slice(9, 12));
    if (status !== (allowed(ask) ? 200 : 403))
      throw new Error(`envoy answered ${status} to ${ask.method} ${ask.path}`);
  }
  return quantile(times, 0.5);
}
