/** Each rule of the init container by what it does: connections in namespaces of the test's own, told where they arrive. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { namespacesProblem } from "../../local/node/network/available.ts";
import { injectorArguments } from "../../mesh/agent/iptables/testing/injector-arguments.ts";
import { type Call, net, openPair, type Pair, pod, ports } from "./support/linked-namespaces.ts";

const problem = await namespacesProblem();

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
    await pair.apply([...injectorArguments, ...flags], env);
    for (const [asked, answer] of calls) expect(await pair.ask(asked), JSON.stringify(asked)).toBe(answer);
  });

  test("are the same after a second run, gone after a clean-up, and leave other rules alone", async () => {
    await pair.run("iptables", "-t", "nat", "-A", "OUTPUT", "-d", "192.0.2.9/32", "-j", "ACCEPT");
    const rules = (saved: string) => saved.split("\n").filter((line) => /^(\*|-A|:ISTIO)/.test(line));
    const flags = [...injectorArguments, "-c", "net1", "--redirect-dns", "--drop-invalid"];
    const once = rules(await pair.apply(flags));
    expect(once).toContain("-A OUTPUT -j ISTIO_OUTPUT");
    expect(rules(await pair.apply(flags)).sort()).toEqual([...once].sort());
    await pair.apply([...injectorArguments, "-m", "TPROXY"]);
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
    await pair.apply([...injectorArguments, ...names]);
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
    expect(await pair.apply(injectorArguments)).not.toMatch(dropped);
    expect(await pair.apply([...injectorArguments, "--drop-invalid"])).toMatch(dropped);
  });

  test("a wrong flag is told, and nothing is changed", async () => {
    await pair.apply(["--clean"]);
    await expect(pair.apply([...injectorArguments, "-i", "10.0.0.0/99"])).rejects.toThrow(
      "which is not an address range",
    );
    expect(await pair.run("iptables-save", "-t", "nat")).not.toContain("ISTIO");
  });
});
