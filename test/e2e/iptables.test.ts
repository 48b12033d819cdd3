/** Each rule of the init container by what it does: connections in namespaces of the test's own, told where they arrive. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { agentCommand } from "../../mesh/agent/command.ts";
import { envoyBinary, envoyMissing } from "../support/envoy.ts";
import { namespacesProblem } from "./support/pod-network.ts";

const problem = await namespacesProblem();

/** What Istio's injector passes. */
const usual = [
  "-p",
  "15001",
  "-z",
  "15006",
  "-u",
  "1337",
  "-m",
  "REDIRECT",
  "-i",
  "*",
  "-x",
  "",
  "-b",
  "*",
  "-d",
  "15090,15021,15020",
];

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

interface Call {
  readonly from?: "pod" | "net";
  readonly kind?: "tcp" | "udp";
  readonly to: string;
  readonly port?: number;
  readonly source?: string;
  readonly uid?: number;
  readonly gid?: number;
}

interface Pair {
  readonly ask: (call: Call) => Promise<string>;
  readonly apply: (flags: readonly string[], env?: Record<string, string>) => Promise<string>;
  readonly run: (program: string, ...args: string[]) => Promise<string>;
  readonly start: (program: string, args: readonly string[]) => ChildProcess;
  readonly close: () => void;
}

const pod = "10.9.0.2";
const net = "10.9.0.1";
const ports = [22, 53, 80, 3306, 15_001, 15_008, 15_020, 15_053];

function call(program: string, args: readonly string[], env = process.env): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { env, timeout: 20_000 }, (error, out, err) =>
      error === null
        ? resolve(out.trim())
        : reject(new Error(`${program} ${args.join(" ")}: ${err.trim() || error.message}`)),
    );
  });
}

/** A pod's namespace and one that stands for all others, with a link between them. */
async function openPair(podPorts: readonly number[]): Promise<Pair> {
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

describe.skipIf(problem !== undefined)(`the rules of the init container ${problem ?? ""}`, () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await openPair([...ports, 15_006]);
  });
  afterAll(() => pair?.close());

  const groups = { ISTIO_OUTBOUND_OWNER_GROUPS: "202" };
  const butGroups = { ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: "202" };
  const names = ["--redirect-dns"];
  const allNames = ["--redirect-dns", "--capture-all-dns"];

  test.for<
    [what: string, flags: readonly string[], env: Record<string, string>, calls: [Call, answer: string][]]
  >([
    [
      "what comes in goes to 15006",
      [],
      {},
      [
        [{ from: "net", to: pod }, "pod 15006"],
        [{ from: "net", to: pod, port: 3306 }, "pod 15006"],
      ],
    ],
    ["the tunnel's port is its own", [], {}, [[{ from: "net", to: pod, port: 15_008 }, "pod 15008"]]],
    ["excluded inbound ports are direct", [], {}, [[{ from: "net", to: pod, port: 15_020 }, "pod 15020"]]],
    [
      "only included inbound ports go to 15006",
      ["-b", "80"],
      {},
      [
        [{ from: "net", to: pod }, "pod 15006"],
        [{ from: "net", to: pod, port: 3306 }, "pod 3306"],
      ],
    ],
    ["no inbound port at all", ["-b", ""], {}, [[{ from: "net", to: pod }, "pod 80"]]],
    [
      "1: excluded outbound ports are direct",
      ["-o", "22"],
      {},
      [
        [{ to: net, port: 22 }, "net 22"],
        [{ to: net }, "pod 15001"],
      ],
    ],
    [
      "1: also for datagrams, before names are caught",
      [...allNames, "-o", "53"],
      {},
      [[{ kind: "udp", to: net, port: 53 }, "net 53"]],
    ],
    [
      "2: from 127.0.0.6 the pod is reached directly",
      [],
      {},
      [[{ to: pod, source: "127.0.0.6", uid: 1337, gid: 1337 }, "pod 80"]],
    ],
    [
      "3: the proxy that calls its own pod comes in again, by user",
      [],
      {},
      [[{ to: pod, uid: 1337, gid: 1000 }, "pod 15006"]],
    ],
    [
      "3: … and by group",
      [],
      {},
      [
        [{ to: pod, uid: 1000, gid: 1337 }, "pod 80"],
        [{ to: net, uid: 1000, gid: 1337 }, "net 80"],
      ],
    ],
    [
      "3: … but not by the tunnel's port",
      [],
      {},
      [[{ to: pod, port: 15_008, uid: 1337, gid: 1337 }, "pod 15008"]],
    ],
    [
      "3: the application that calls its own pod does not leave it",
      [],
      {},
      [[{ to: pod, uid: 1000 }, "pod 80"]],
    ],
    [
      "3: what the proxy sends out is left alone",
      [],
      {},
      [
        [{ to: net, uid: 1337, gid: 1337 }, "net 80"],
        [{ to: net, uid: 1000 }, "pod 15001"],
      ],
    ],
    [
      "4: only included groups",
      [],
      groups,
      [
        [{ to: net, gid: 202 }, "pod 15001"],
        [{ to: net, gid: 203 }, "net 80"],
      ],
    ],
    [
      "4: but excluded groups",
      [],
      butGroups,
      [
        [{ to: net, gid: 202 }, "net 80"],
        [{ to: net, gid: 203 }, "pod 15001"],
      ],
    ],
    [
      "5: 127.0.0.1 is never redirected",
      ["-i", "127.0.0.0/8"],
      {},
      [
        [{ to: "127.0.0.1" }, "pod 80"],
        [{ to: "127.0.0.2" }, "pod 15001"],
      ],
    ],
    [
      "6: excluded ranges are direct",
      ["-x", "10.8.0.0/24"],
      {},
      [
        [{ to: "10.8.0.1" }, "net 80"],
        [{ to: net }, "pod 15001"],
      ],
    ],
    [
      "7: included ports, whatever their address",
      ["-i", "", "-q", "3306"],
      {},
      [
        [{ to: net, port: 3306 }, "pod 15001"],
        [{ to: net }, "net 80"],
      ],
    ],
    [
      "8: everything",
      [],
      {},
      [
        [{ to: net }, "pod 15001"],
        [{ to: "10.8.0.1" }, "pod 15001"],
      ],
    ],
    [
      "8: only included ranges",
      ["-i", "10.8.0.0/24"],
      {},
      [
        [{ to: "10.8.0.1" }, "pod 15001"],
        [{ to: net }, "net 80"],
      ],
    ],
    ["8: no range", ["-i", ""], {}, [[{ to: net }, "net 80"]]],
    [
      "an excluded interface is left alone both ways",
      ["-c", "eth0"],
      {},
      [
        [{ to: net }, "net 80"],
        [{ from: "net", to: pod }, "pod 80"],
      ],
    ],
    [
      "what comes in by a virtual machine's interface goes out",
      ["-k", "eth0"],
      {},
      [[{ from: "net", to: pod }, "pod 15001"]],
    ],
    [
      "… within the included ranges",
      ["-k", "eth0", "-i", "10.8.0.0/24"],
      {},
      [[{ from: "net", to: pod }, "pod 80"]],
    ],
    [
      "questions to the pod's name server go to the agent",
      names,
      {},
      [
        [{ kind: "udp", to: net, port: 53 }, "pod 15053"],
        [{ to: net, port: 53 }, "pod 15053"],
        [{ kind: "udp", to: "10.8.0.1", port: 53 }, "net 53"],
        [{ kind: "udp", to: net, port: 53, uid: 1337, gid: 1337 }, "net 53"],
        [{ to: net, port: 53, uid: 1337, gid: 1337 }, "net 53"],
      ],
    ],
    [
      "questions to all name servers go to the agent",
      allNames,
      {},
      [
        [{ kind: "udp", to: "10.8.0.1", port: 53 }, "pod 15053"],
        [{ kind: "udp", to: "10.8.0.1", port: 53, uid: 1337, gid: 1337 }, "net 53"],
      ],
    ],
    [
      "names of a group that is not in the mesh are its own",
      allNames,
      butGroups,
      [[{ kind: "udp", to: net, port: 53, gid: 202 }, "net 53"]],
    ],
    ["other datagrams are left alone", [], {}, [[{ kind: "udp", to: net, port: 22 }, "net 22"]]],
    [
      "IPv6 has the same rules",
      [],
      {},
      [
        [{ to: "fd00:9::1" }, "pod 15001"],
        [{ to: "fd00:9::1", uid: 1337, gid: 1337 }, "net 80"],
        [{ from: "net", to: "fd00:9::2" }, "pod 15006"],
        [{ from: "net", to: "fd00:9::2", port: 15_020 }, "pod 15020"],
        [{ to: "fd00:9::2", uid: 1337, gid: 1337 }, "pod 15006"],
        [{ to: "fd00:9::2", source: "::6", uid: 1337, gid: 1337 }, "pod 80"],
        [{ to: "::1" }, "pod 80"],
      ],
    ],
  ])("%s", async ([, flags, env, calls]) => {
    await pair.apply([...usual, ...flags], env);
    for (const [asked, answer] of calls) expect(await pair.ask(asked), JSON.stringify(asked)).toBe(answer);
  });

  test("are the same after a second run, gone after a clean-up, and leave other rules alone", async () => {
    await pair.run("iptables", "-t", "nat", "-A", "OUTPUT", "-d", "192.0.2.9/32", "-j", "ACCEPT");
    const rules = (saved: string) => saved.split("\n").filter((line) => /^(\*|-A|:ISTIO)/.test(line));
    const flags = [...usual, "-c", "net1", "--redirect-dns", "--drop-invalid"];
    const once = rules(await pair.apply(flags));
    expect(once).toContain("-A OUTPUT -j ISTIO_OUTPUT");
    expect(rules(await pair.apply(flags)).sort()).toEqual([...once].sort());
    await pair.apply([...usual, "-m", "TPROXY"]);
    expect(rules(await pair.apply(flags)).sort()).toEqual([...once].sort());
    await pair.apply(["--skip-rule-apply"]);
    await pair.apply(["--clean"]);
    const left = rules(await pair.run("iptables-save"));
    expect(left.filter((line) => !line.startsWith("*"))).toEqual(["-A OUTPUT -d 192.0.2.9/32 -j ACCEPT"]);
    await expect(pair.apply(["--run-validation", "--skip-rule-apply"])).rejects.toThrow("not in place");
    expect(await pair.ask({ to: net })).toBe("net 80");
    await pair.run("iptables", "-t", "nat", "-F", "OUTPUT");
  });

  test("keep the agent's questions and the application's apart in connection tracking", async () => {
    await pair.apply([...usual, ...names]);
    const saved = await pair.run("iptables-save");
    expect(saved.split("\n").filter((line) => line.includes("-j CT "))).toEqual([
      `-A ISTIO_INBOUND -s ${net}/32 -p udp -m udp --sport 53 -j CT --zone 1`,
      "-A ISTIO_OUTPUT_DNS -p udp -m udp --dport 53 -m owner --uid-owner 1337 -j CT --zone 1",
      "-A ISTIO_OUTPUT_DNS -p udp -m udp --sport 15053 -m owner --uid-owner 1337 -j CT --zone 2",
      "-A ISTIO_OUTPUT_DNS -p udp -m udp --dport 53 -m owner --gid-owner 1337 -j CT --zone 1",
      "-A ISTIO_OUTPUT_DNS -p udp -m udp --sport 15053 -m owner --gid-owner 1337 -j CT --zone 2",
      `-A ISTIO_OUTPUT_DNS -d ${net}/32 -p udp -m udp --dport 53 -j CT --zone 2`,
    ]);
  });

  test("drop what belongs to no connection only where that is asked for", async () => {
    const dropped = /-A PREROUTING -m conntrack --ctstate INVALID -j DROP/;
    expect(await pair.apply(usual)).not.toMatch(dropped);
    expect(await pair.apply([...usual, "--drop-invalid"])).toMatch(dropped);
  });

  test("a wrong flag is told, and nothing is changed", async () => {
    await pair.apply(["--clean"]);
    await expect(pair.apply([...usual, "-i", "10.0.0.0/99"])).rejects.toThrow(
      "which is not an address range",
    );
    expect(await pair.run("iptables-save", "-t", "nat")).not.toContain("ISTIO");
  });
});

const why = problem ?? envoyMissing;
describe.skipIf(why !== undefined)(`TPROXY ${why ?? ""}`, () => {
  let pair: Pair;
  beforeAll(async () => {
    // Envoy stands on 15006: only a transparent socket takes what is meant for another port.
    pair = await openPair(ports);
    const folder = mkdtempSync(join(tmpdir(), "fl-tproxy-"));
    const file = join(folder, "envoy.json");
    const filter = {
      name: "envoy.filters.network.direct_response",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config",
        response: { inline_string: "proxy 15006" },
      },
    };
    const address = { socket_address: { address: "0.0.0.0", port_value: 15_006 } };
    const listener = { name: "in", address, transparent: true, filter_chains: [{ filters: [filter] }] };
    writeFileSync(file, JSON.stringify({ static_resources: { listeners: [listener] } }));
    const envoy = pair.start(envoyBinary, [
      "-c",
      file,
      "--disable-hot-restart",
      "--concurrency",
      "1",
      "-l",
      "off",
    ]);
    await until("envoy listens", async () => (await pair.ask({ to: pod, port: 15_006 })) === "proxy 15006");
    return () => {
      envoy.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    };
  });
  afterAll(() => pair?.close());

  test("what comes in arrives with its own address and port", async () => {
    expect(await pair.ask({ from: "net", to: pod })).toBe("pod 80");
    const saved = await pair.apply([...usual, "-m", "TPROXY"]);
    expect(saved).toContain("-j TPROXY --on-port 15006 --on-ip 0.0.0.0 --tproxy-mark 0x539/0xffffffff");
    expect(await pair.run("ip", "rule", "show", "fwmark", "1337")).toContain("lookup 133");
    expect(await pair.run("ip", "route", "show", "table", "133")).toBe("local default dev lo scope host");
    expect(await pair.ask({ from: "net", to: pod })).toBe("proxy 15006");
    expect(await pair.ask({ from: "net", to: pod, port: 15_020 })).toBe("pod 15020");
    expect(await pair.ask({ to: net })).toBe("pod 15001");
    // The proxy to its own pod comes in again; the application, and what comes from 127.0.0.6, do not.
    expect(await pair.ask({ to: pod, uid: 1337, gid: 1337 })).toBe("proxy 15006");
    expect(await pair.ask({ to: pod, uid: 1000 })).toBe("pod 80");
    expect(await pair.ask({ to: pod, source: "127.0.0.6", uid: 1337, gid: 1337 })).toBe("pod 80");
  });

  test("only included ports", async () => {
    await pair.apply([...usual, "-m", "TPROXY", "-b", "80"]);
    expect(await pair.ask({ from: "net", to: pod })).toBe("proxy 15006");
    expect(await pair.ask({ from: "net", to: pod, port: 3306 })).toBe("pod 3306");
  });
});
