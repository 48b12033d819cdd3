/**
 * Run in a network namespace of its own (`unshare -n`): raw connections that iptables lead to a real sidecar. Prints what
 * the client observed as one JSON object, see `connections.test.ts`.
 */
import { execFileSync } from "node:child_process";
import { createServer as createHttp, request } from "node:http";
import { connect, createServer } from "node:net";
import { connect as connectTls, createServer as createTls } from "node:tls";
import { until } from "../../../local/testing/until.ts";
import { createRoot } from "../../../mesh/ca/authority.ts";
import { destinationRule, startTraffic, virtualService } from "./traffic.ts";

/** The client's address: what comes from it goes to the sidecar; the sidecar's own connections do not. */
const localAddress = "10.98.0.1";
const sh = (line: string) => execFileSync("sh", ["-c", line], { stdio: ["ignore", "ignore", "inherit"] });
sh("ip link set lo up && ip route add local 10.96.0.0/12 dev lo");
sh(`iptables -t nat -A OUTPUT -p tcp -s ${localAddress} -j REDIRECT --to-ports 15001`);

const world = await startTraffic("10.97", {}, "REDIRECT");
const { certificate, key } = createRoot("cluster.local", Date.now());
const stops: (() => void)[] = [];

/** A pod that says its name to whoever speaks to it, in one of three ways. */
async function serve(app: string, name: string, kind: "tcp" | "tls" | "http"): Promise<string> {
  const ip = await world.pod(app, name, { serves: false });
  const server =
    kind === "http"
      ? createHttp((_, response) => response.end(name))
      : kind === "tls"
        ? createTls({ key, cert: certificate }, (socket) => {
            socket.on("error", () => {});
            socket.end(name);
          })
        : createServer((socket) => {
            socket.on("error", () => {});
            socket.on("data", () => socket.write(name));
          });
  await new Promise<void>((resolve) => server.listen(8080, ip, resolve));
  stops.push(() => server.close());
  return ip;
}

/** The pod that answers a raw connection; "" where it is closed. */
function raw(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, localAddress }, () => socket.write("hello\n"));
    socket.setTimeout(5000, () => socket.destroy());
    socket.once("data", (data) => {
      resolve(data.toString());
      socket.destroy();
    });
    socket.on("error", () => resolve(""));
    socket.on("close", () => resolve(""));
  });
}

/** The same over TLS, asking for a server name. */
function secured(host: string, servername: string): Promise<string> {
  return new Promise((resolve) => {
    const below = connect({ host, port: 443, localAddress });
    below.on("error", () => resolve(""));
    const socket = connectTls({ socket: below, servername, rejectUnauthorized: false });
    socket.once("data", (data) => resolve(data.toString()));
    socket.on("error", () => resolve(""));
    socket.on("close", () => resolve(""));
  });
}

function http(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    request({ host, port, localAddress, agent: false }, (response) => {
      response.on("data", (data: Buffer) => resolve(data.toString()));
      response.on("end", () => resolve(String(response.statusCode)));
    })
      .on("error", () => resolve(""))
      .end();
  });
}

/** Milliseconds until a connection that says nothing more is closed; at most 3,000. */
async function lasts(host: string, port: number): Promise<number> {
  const began = performance.now();
  await new Promise<void>((resolve) => {
    const socket = connect({ host, port, localAddress }, () => socket.write("hello\n"));
    socket.setTimeout(3000, () => socket.destroy());
    socket.resume();
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
  return performance.now() - began;
}

async function count(times: number, ask: () => Promise<string>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let index = 0; index < times; index += 1) {
    const answer = await ask();
    counts[answer] = (counts[answer] ?? 0) + 1;
  }
  return counts;
}

/** What the client observed. */
async function observe() {
  const tcp = { name: "tcp-db", port: 9000, targetPort: 8080 };
  const tls = { name: "tls", port: 443, targetPort: 8080 };
  // With an HTTP port the sidecar asks for routes, by which the world tells that it holds everything.
  await world.service("nobody", undefined, "10.96.255.1");
  for (const [name, kind, port, ip] of [
    ["db", "tcp", tcp, "10.96.0.1"],
    ["db-new", "tcp", tcp, "10.96.0.2"],
    ["vault", "tls", tls, "10.96.0.3"],
    ["vault-new", "tls", tls, "10.96.0.4"],
    ["web", "http", { name: "any", port: 7000, targetPort: 8080 }, "10.96.0.5"],
    ["other", "tcp", { name: "more", port: 7001, targetPort: 8080 }, "10.96.0.6"],
  ] as const) {
    await serve(name, name, kind);
    await world.service(name, port, ip);
  }
  const peers = [await serve("peers", "peer-0", "tcp"), await serve("peers", "peer-1", "tcp")];
  await world.service("peers", { ...tcp, port: 8080 });
  await until("the sidecar passes connections on", async () => (await raw("10.96.0.1", 9000)) === "db");

  const before = await count(5, () => raw("10.96.0.1", 9000));
  const vaultBefore = await secured("10.96.0.3", "anything.example");
  await world.apply(
    virtualService("db", {
      hosts: ["db"],
      tcp: [
        { match: [{ sourceLabels: { app: "somebody-else" } }], route: [{ destination: { host: "db" } }] },
        {
          match: [{ port: 9000 }],
          route: [
            { destination: { host: "db" }, weight: 30 },
            { destination: { host: "db-new" }, weight: 70 },
          ],
        },
      ],
    }),
    virtualService("vault", {
      hosts: ["vault", "vault.example", "*.new.example"],
      tls: [
        { match: [{ sniHosts: ["vault.example"] }], route: [{ destination: { host: "vault" } }] },
        { match: [{ sniHosts: ["*.new.example"] }], route: [{ destination: { host: "vault-new" } }] },
      ],
    }),
  );
  await until(
    "the new one answers by its name",
    async () => (await secured("10.96.0.3", "a.new.example")) === "vault-new",
  );
  const observed = {
    before,
    weighted: await count(300, () => raw("10.96.0.1", 9000)),
    vaultBefore,
    byServerName: await secured("10.96.0.3", "vault.example"),
    byWildcard: await secured("10.96.0.3", "b.new.example"),
    unnamed: await secured("10.96.0.3", "anything.example"),
    sniffedHttp: await http("10.96.0.5", 7000),
    sniffedRaw: await raw("10.96.0.6", 7001),
    toEachPod: await Promise.all(peers.map((ip) => count(4, () => raw(ip, 8080)))),
    lasts: 0,
  };
  await world.apply(
    destinationRule("other", {
      host: "other",
      trafficPolicy: { connectionPool: { tcp: { maxConnectionDuration: "0.5s" } } },
    }),
  );
  observed.lasts = await until("connections end by themselves", async () => {
    const milliseconds = await lasts("10.96.0.6", 7001);
    return milliseconds < 3000 && milliseconds;
  });
  return observed;
}

try {
  process.stdout.write(`${JSON.stringify(await observe())}\n`);
} finally {
  for (const stop of stops) stop();
  await world.stop();
}
process.exit(0);
