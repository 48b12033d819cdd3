import { describe, expect, test } from "vitest";
import { readIptablesCommand } from "./options.ts";
import { restoreText } from "./restore.ts";
import { buildRules, familyOf } from "./rules.ts";
import { injectorArguments } from "./testing/injector-arguments.ts";

function rulesOf(
  argv: readonly string[],
  { v6 = false, env = {}, nameservers = ["10.96.0.10"] } = {},
): string[] {
  const { options } = readIptablesCommand(argv, env);
  return buildRules(options, familyOf(v6, nameservers)).map(
    ({ table, chain, place, words }) => `${table} ${chain}${place === undefined ? "" : ` ${place}`} ${words}`,
  );
}

/** Only what follows from some flags: the rules that the usual ones do not have. */
function added(argv: readonly string[], input: Parameters<typeof rulesOf>[1] = {}): string[] {
  const before = new Set(rulesOf(injectorArguments));
  return rulesOf(argv, input).filter((rule) => !before.has(rule));
}

test("the usual flags make Istio's rules in Istio's order", () => {
  expect(rulesOf(injectorArguments)).toEqual([
    "nat ISTIO_INBOUND -p tcp --dport 15008 -j RETURN",
    "nat ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001",
    "nat ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006",
    "nat PREROUTING -p tcp -j ISTIO_INBOUND",
    "nat ISTIO_INBOUND -p tcp -m multiport --dports 15090,15021,15020 -j RETURN",
    "nat ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
    "nat OUTPUT -j ISTIO_OUTPUT",
    "nat ISTIO_OUTPUT -o lo -s 127.0.0.6/32 -j RETURN",
    "nat ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT",
    "nat ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN",
    "nat ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
    "nat ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT",
    "nat ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN",
    "nat ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN",
    "nat ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN",
    "nat ISTIO_OUTPUT -j ISTIO_REDIRECT",
  ]);
});

test("IPv6 has its own loopback and source addresses", () => {
  const rules = rulesOf(injectorArguments, { v6: true });
  expect(rules).toContain("nat ISTIO_OUTPUT -o lo -s ::6/128 -j RETURN");
  expect(rules).toContain("nat ISTIO_OUTPUT -d ::1/128 -j RETURN");
  expect(rules.join("\n")).not.toMatch(/127\.0\.0/);
});

describe("flags", () => {
  test.for<[name: string, argv: string[], rules: string[]]>([
    [
      "included inbound ports",
      ["-b", "80,8080"],
      ["nat ISTIO_INBOUND -p tcp -m multiport --dports 80,8080 -j ISTIO_IN_REDIRECT"],
    ],
    [
      "excluded outbound ports, for both protocols",
      ["-o", "22"],
      ["nat ISTIO_OUTPUT -p tcp --dport 22 -j RETURN", "nat ISTIO_OUTPUT -p udp --dport 22 -j RETURN"],
    ],
    ["included outbound ports", ["-q", "3306"], ["nat ISTIO_OUTPUT -p tcp --dport 3306 -j ISTIO_REDIRECT"]],
    [
      "excluded ranges",
      ["-x", "10.1.0.0/16,192.0.2.7,2001:db8::/32"],
      ["nat ISTIO_OUTPUT -d 10.1.0.0/16 -j RETURN", "nat ISTIO_OUTPUT -d 192.0.2.7/32 -j RETURN"],
    ],
    ["included ranges", ["-i", "10.96.0.0/16"], ["nat ISTIO_OUTPUT -d 10.96.0.0/16 -j ISTIO_REDIRECT"]],
    [
      "excluded interfaces",
      ["-c", "net1"],
      ["nat PREROUTING -i net1 -j RETURN", "nat OUTPUT -o net1 -j RETURN"],
    ],
    [
      "interfaces of virtual machines",
      ["-k", "kv0"],
      ["nat PREROUTING 1 -i kv0 -j RETURN", "nat PREROUTING 1 -i kv0 -j ISTIO_REDIRECT"],
    ],
    ["another tunnel port", ["-e", "15009"], ["nat ISTIO_INBOUND -p tcp --dport 15009 -j RETURN"]],
    ["invalid packets", ["--drop-invalid"], ["mangle PREROUTING -m conntrack --ctstate INVALID -j DROP"]],
  ])("%s", ([, argv, rules]) => {
    expect(added([...injectorArguments, ...argv])).toEqual(expect.arrayContaining(rules));
  });

  test("without inbound ports nothing comes in by the proxy, and without ranges nothing goes out by it", () => {
    const rules = rulesOf([...injectorArguments, "-b", "", "-i", ""]);
    expect(rules.some((rule) => rule.startsWith("nat PREROUTING"))).toBe(false);
    expect(rules.some((rule) => rule.endsWith("ISTIO_OUTPUT -j ISTIO_REDIRECT"))).toBe(false);
  });

  test("an included loopback address keeps the application's calls to itself in the mesh", () => {
    const rules = rulesOf([...injectorArguments, "-i", "127.1.2.3/32"]);
    expect(rules.filter((rule) => /-o lo -m owner !/.test(rule))).toEqual([]);
  });

  test("more than 15 ports are several matches", () => {
    const ports = Array.from({ length: 16 }, (_, index) => 1000 + index);
    expect(added([...injectorArguments, "-o", ports.join(",")])).toHaveLength(4);
  });

  test("a mark stands for the proxy's user where there is none", () => {
    const rules = rulesOf([...injectorArguments, "--proxy-mark", "1337"]);
    expect(rules.filter((rule) => rule.includes("owner"))).toEqual([]);
    expect(rules.filter((rule) => rule.includes("mark"))).toEqual([
      "nat ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m mark --mark 1337 -j ISTIO_IN_REDIRECT",
      "nat ISTIO_OUTPUT -o lo -m mark ! --mark 1337 -j RETURN",
      "nat ISTIO_OUTPUT -m mark --mark 1337 -j RETURN",
    ]);
  });

  test("owner groups come from variables", () => {
    expect(added(injectorArguments, { env: { ISTIO_OUTBOUND_OWNER_GROUPS: "java,202" } })).toEqual([
      "nat ISTIO_OUTPUT -m owner ! --gid-owner java -m owner ! --gid-owner 202 -j RETURN",
    ]);
    expect(added(injectorArguments, { env: { ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: "202" } })).toEqual([
      "nat ISTIO_OUTPUT -m owner --gid-owner 202 -j RETURN",
    ]);
  });

  test("names go to the agent, and its own questions do not", () => {
    expect(added([...injectorArguments, "--redirect-dns"])).toEqual([
      "nat ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp -m multiport ! --dports 53,15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT",
      "nat ISTIO_OUTPUT -o lo -p tcp ! --dport 53 -m owner ! --uid-owner 1337 -j RETURN",
      "nat ISTIO_OUTPUT -o lo -p tcp ! --dport 53 -m owner ! --gid-owner 1337 -j RETURN",
      "nat ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS",
      "nat ISTIO_OUTPUT_DNS -p tcp --dport 53 -d 10.96.0.10/32 -j REDIRECT --to-ports 15053",
      "nat ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --uid-owner 1337 -j RETURN",
      "nat ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --gid-owner 1337 -j RETURN",
      "nat ISTIO_OUTPUT_DNS -p udp --dport 53 -d 10.96.0.10/32 -j REDIRECT --to-ports 15053",
      "raw OUTPUT -j ISTIO_OUTPUT_DNS",
      "raw ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --uid-owner 1337 -j CT --zone 1",
      "raw ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --uid-owner 1337 -j CT --zone 2",
      "raw ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --gid-owner 1337 -j CT --zone 1",
      "raw ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --gid-owner 1337 -j CT --zone 2",
      "raw PREROUTING -j ISTIO_INBOUND",
      "raw ISTIO_OUTPUT_DNS -p udp --dport 53 -d 10.96.0.10/32 -j CT --zone 2",
      "raw ISTIO_INBOUND -p udp --sport 53 -s 10.96.0.10/32 -j CT --zone 1",
    ]);
    expect(added([...injectorArguments, "--redirect-dns", "--capture-all-dns"])).toContain(
      "nat ISTIO_OUTPUT_DNS -p udp --dport 53 -j REDIRECT --to-ports 15053",
    );
  });

  test("TPROXY marks instead of redirecting", () => {
    const rules = rulesOf([...injectorArguments, "-m", "TPROXY"]).filter((rule) => rule.startsWith("mangle"));
    expect(rules).toEqual([
      "mangle ISTIO_DIVERT -j MARK --set-mark 1337",
      "mangle ISTIO_DIVERT -j ACCEPT",
      "mangle ISTIO_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --tproxy-mark 1337/0xffffffff --on-port 15006",
      "mangle PREROUTING -p tcp -j ISTIO_INBOUND",
      "mangle ISTIO_INBOUND -p tcp -m multiport --dports 15090,15021,15020 -j RETURN",
      "mangle ISTIO_INBOUND -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT",
      "mangle ISTIO_INBOUND -p tcp -j ISTIO_TPROXY",
      "mangle PREROUTING -p tcp -m mark --mark 1337 -j CONNMARK --save-mark",
      "mangle OUTPUT -p tcp -o lo -m mark --mark 1337 -j RETURN",
      "mangle OUTPUT ! -d 127.0.0.1/32 -p tcp -o lo -m owner --uid-owner 1337 -j MARK --set-mark 1338",
      "mangle OUTPUT ! -d 127.0.0.1/32 -p tcp -o lo -m owner --gid-owner 1337 -j MARK --set-mark 1338",
      "mangle OUTPUT -p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark",
      "mangle ISTIO_INBOUND 1 -p tcp -m mark --mark 1337 -j RETURN",
      "mangle ISTIO_INBOUND 2 -p tcp -s 127.0.0.6/32 -i lo -j RETURN",
      "mangle ISTIO_INBOUND 3 -p tcp -i lo -m mark ! --mark 1338 -j RETURN",
    ]);
  });

  test("a variable stands where a flag is missing", () => {
    const { options } = readIptablesCommand(["-i", "*"], {
      ISTIO_LOCAL_EXCLUDE_PORTS: "9",
      ENVOY_PORT: "16001",
    });
    expect(options).toMatchObject({ inboundPortsExclude: [9], outboundPort: 16_001, proxyGroups: ["1337"] });
  });

  test.for<[argv: string[], message: RegExp]>([
    [["-i", "10.0.0.0/40"], /--istio-service-cidr holds `10\.0\.0\.0\/40`, which is not an address range/],
    [["-x", "*"], /--istio-service-exclude-cidr holds `\*`/],
    [["-b", "http"], /--istio-inbound-ports holds `http`, which is not a number from 1 to 65535/],
    [["-o", "0"], /--istio-local-outbound-ports-exclude holds `0`/],
    [["-m", "NONE"], /which is not REDIRECT or TPROXY/],
    [["-c", "eth0 -j ACCEPT"], /--istio-exclude-interfaces holds/],
    [["-u", "1 -j ACCEPT"], /--proxy-uid holds/],
    [["--nonsense"], /nonsense/],
  ])("refuses %s", ([argv, message]) => {
    expect(() => readIptablesCommand(argv, {})).toThrow(message);
  });
});

describe("what is given to iptables-restore", () => {
  const { options } = readIptablesCommand(injectorArguments, {});
  const rules = buildRules(options, familyOf(false, []));

  test("makes the chains and ends with COMMIT", () => {
    const text = restoreText(rules, "");
    expect(text).toMatch(/^\*nat\n:ISTIO_INBOUND - \[0:0\]\n/);
    expect(text).toMatch(/COMMIT\n$/);
    expect(text).not.toContain("-D ");
  });

  test("takes earlier rules of ours away and leaves others alone", () => {
    const saved = [
      "*mangle",
      ":ISTIO_DIVERT - [0:0]",
      "-A OUTPUT -p tcp -m connmark --mark 0x539 -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
      "-A OUTPUT -p udp -j MARK --set-xmark 0x1/0xffffffff",
      "COMMIT",
      "*nat",
      ":ISTIO_OUTPUT - [0:0]",
      ":ISTIO_OLD - [0:0]",
      "-A PREROUTING -i net1 -j RETURN",
      "-A OUTPUT -j ISTIO_OUTPUT",
      "-A OUTPUT -d 192.0.2.1/32 -j DNAT --to-destination 192.0.2.2",
      "COMMIT",
    ].join("\n");
    const text = restoreText(rules, saved);
    expect(text.split("\n").filter((line) => /^-[DX]/.test(line))).toEqual([
      "-D OUTPUT -p tcp -m connmark --mark 0x539 -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
      "-X ISTIO_DIVERT",
      "-D PREROUTING -i net1 -j RETURN",
      "-D OUTPUT -j ISTIO_OUTPUT",
      "-X ISTIO_OLD",
    ]);
  });

  test("is nothing where nothing stands and nothing is wanted", () => {
    expect(restoreText([], "*nat\n-A OUTPUT -j DOCKER\nCOMMIT\n")).toBe("");
  });
});
