/** Two network namespaces, one of them a pod's with the init container's rules, and programs that tell who answers where. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../../local/testing/until.ts";
import { agentCommand } from "../../../mesh/agent/command.ts";

/** Answers `<name> <port>` to whoever connects, and to each datagram. */
const answering = `
const [name, ...ports] = process.argv.slice(1);
for (const port of ports.map(Number)) {
  require("net").createServer((s) => { s.on("error", () => {}); s.end(name + " " + port); }).listen(port, "::");
  const udp = require("dgram").createSocket("udp6");
  udp.on("message", (m, from) => udp.send(name + " " + port, from.port, from.address));
  udp.bind(port, "::");
}`;

/** Prints who answers. */
const asking = `
const [kind, host, port, localAddress] = process.argv.slice(1);
const end = (said) => { console.log(said); process.exit(0); };
setTimeout(() => end("nobody"), 3000);
if (kind === "tcp") {
  const s = require("net").connect({ host, port: Number(port), ...(localAddress ? { localAddress } : {}) });
  let said = "";
  s.on("data", (d) => { said += d; }).on("close", () => end(said)).on("error", (e) => end(e.code));
} else {
  const udp = require("dgram").createSocket(host.includes(":") ? "udp6" : "udp4");
  udp.on("message", (m) => end(String(m)));
  udp.send("?", Number(port), host);
}`;

/** A question, and who asks it. */
export interface Call {
  readonly from?: "pod" | "net";
  readonly kind?: "tcp" | "udp";
  readonly to: string;
  readonly port?: number;
  readonly source?: string;
  readonly uid?: number;
  readonly gid?: number;
}

/** A pod and its surroundings. */
export interface Pair {
  readonly ask: (call: Call) => Promise<string>;
  readonly apply: (flags: readonly string[], env?: Record<string, string>) => Promise<string>;
  readonly run: (program: string, ...args: string[]) => Promise<string>;
  readonly start: (program: string, args: readonly string[]) => ChildProcess;
  readonly close: () => void;
}

/** Addresses of the pod and of its surroundings, and the ports on which both answer. */
export const pod = "10.9.0.2";
export const net = "10.9.0.1";
export const ports = [22, 53, 80, 3306, 15_001, 15_008, 15_020, 15_053];

function call(program: string, args: readonly string[], env = process.env): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { env, timeout: 20_000 }, (error, out, err) =>
      error === null
        ? resolve(out.trim())
        : reject(new Error(`${program} ${args.join(" ")}: ${err.trim() || error.message}`)),
    );
  });
}

/** Opens a pod's namespace and one that stands for all others, with a link between them. @param podPorts where the pod answers */
export async function openPair(podPorts: readonly number[]): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), "fl-rules-"));
  const resolver = join(folder, "resolv.conf");
  writeFileSync(resolver, `nameserver ${net}\n`);
  const children: ChildProcess[] = [];
  const holder = (script: string): number => {
    const child = spawn(
      "unshare",
      ["--net", "--mount", "--", "sh", "-c", `${script}; ip link set lo up; exec sleep 600`],
      { stdio: "ignore" },
    );
    children.push(child);
    if (child.pid === undefined) throw new Error("unshare cannot be started");
    return child.pid;
  };
  const holders = { pod: holder(`mount --bind ${resolver} /etc/resolv.conf`), net: holder(":") };
  const enter = (where: "pod" | "net") => ["-t", String(holders[where]), "-n", "-m", "--"];
  for (const where of ["pod", "net"] as const)
    await until(
      `the namespace ${where} stands`,
      async () =>
        (
          await call("nsenter", [...enter(where), "ip", "-br", "link", "show", "lo"]).catch(() => "")
        ).includes("UP") ||
        (
          await call("nsenter", [...enter(where), "ip", "-br", "link", "show", "lo"]).catch(() => "")
        ).includes("UNKNOWN"),
    );
  const inPod = (...words: string[]) => call("nsenter", [...enter("pod"), ...words]);
  const inNet = (...words: string[]) => call("nsenter", [...enter("net"), ...words]);
  await inPod(
    "ip",
    "link",
    "add",
    "eth0",
    "type",
    "veth",
    "peer",
    "name",
    "eth0",
    "netns",
    String(holders.net),
  );
  for (const [run, v4, v6] of [
    [inPod, `${pod}/24`, "fd00:9::2/64"],
    [inNet, `${net}/24`, "fd00:9::1/64"],
  ] as const) {
    await run("ip", "address", "add", v4, "dev", "eth0");
    await run("ip", "-6", "address", "add", v6, "dev", "eth0", "nodad");
    await run("ip", "link", "set", "eth0", "up");
  }
  await inNet("ip", "address", "add", "10.8.0.1/32", "dev", "lo");
  await inPod("ip", "route", "add", "10.8.0.0/24", "via", net);
  const start = (where: "pod" | "net", program: string, args: readonly string[]): ChildProcess => {
    const child = spawn("nsenter", [...enter(where), program, ...args], { stdio: "ignore" });
    children.push(child);
    return child;
  };
  start("pod", process.execPath, ["-e", answering, "pod", ...podPorts.map(String)]);
  start("net", process.execPath, ["-e", answering, "net", ...ports.map(String)]);
  const ask = ({
    from = "pod",
    kind = "tcp",
    to,
    port = 80,
    source = "",
    uid,
    gid,
  }: Call): Promise<string> => {
    const identity =
      uid === undefined && gid === undefined
        ? []
        : [
            "setpriv",
            `--reuid=${uid ?? 1000}`,
            `--regid=${gid ?? 1000}`,
            "--clear-groups",
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
          ];
    return call("nsenter", [
      ...enter(from),
      ...identity,
      process.execPath,
      "-e",
      asking,
      kind,
      to,
      String(port),
      source,
    ]);
  };
  await until(
    "both answer",
    async () => (await ask({ to: net })) === "net 80" && (await ask({ from: "net", to: pod })) === "pod 80",
  );
  return {
    ask,
    apply: (flags, env = {}) =>
      call("nsenter", [...enter("pod"), ...agentCommand(), "iptables", ...flags], { ...process.env, ...env }),
    run: (program, ...args) => inPod(program, ...args),
    start: (program, args) => start("pod", program, args),
    close() {
      for (const child of children) child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
