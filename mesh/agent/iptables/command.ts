import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { createAgentLog, reasonOf } from "../log.ts";
import { type IptablesCommand, readIptablesCommand } from "./options.ts";
import { restoreText } from "./restore.ts";
import { buildRules, type Family, familyOf } from "./rules.ts";

/** Istio's code for a pod whose rules are not in place: who sees it may make the pod again. */
const notInPlace = 126;

/**
 * `fairlead agent iptables`: what the init container runs, in the pod's own network namespace and as root.
 *
 * Flags and variables are those of istio-iptables. Run again it replaces its own rules and touches no others; with
 * `--skip-rule-apply` or `--run-validation` it only looks whether they are there.
 *
 * @returns the exit code: 0, 1 where the rules cannot be applied, 2 for a wrong flag, 126 where a check fails
 */
export async function runIptables(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const log = createAgentLog();
  let command: IptablesCommand;
  try {
    command = readIptablesCommand(argv, env);
  } catch (error) {
    log.error(reasonOf(error));
    return 2;
  }
  try {
    for (const family of families()) {
      if (!(await work(command, family))) {
        log.error("the rules of the sidecar are not in place", { family: family.v6 ? "IPv6" : "IPv4" });
        return notInPlace;
      }
    }
    return 0;
  } catch (error) {
    log.error("the rules of the sidecar cannot be applied", { reason: reasonOf(error) });
    return 1;
  }
}

/** False where a check finds no rules. */
async function work({ action, options }: IptablesCommand, family: Family): Promise<boolean> {
  const prefix = family.v6 ? "ip6tables" : "iptables";
  const rules = action === "clean" ? [] : buildRules(options, family);
  if (action === "print") {
    process.stdout.write(restoreText(rules, ""));
    return true;
  }
  const saved = await run(`${prefix}-save`, []);
  if (action === "check") return saved.includes("-A OUTPUT -j ISTIO_OUTPUT");
  const text = restoreText(rules, saved);
  if (text !== "") await run(`${prefix}-restore`, ["--noflush", "-w", "5"], text);
  if (action === "apply") await addRoutes(options.mode === "TPROXY" ? options : undefined, family);
  process.stdout.write(await run(`${prefix}-save`, []));
  return true;
}

/** IPv4, and IPv6 where the pod has an address of it beside the loopback and the link. */
function families(): Family[] {
  const nameservers = [...readResolver().matchAll(/^nameserver\s+(\S+)/gm)].map(([, server = ""]) => server);
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const hasV6 = addresses.some(
    ({ family, internal, address }) => family === "IPv6" && !internal && !address.startsWith("fe80"),
  );
  return [familyOf(false, nameservers), ...(hasV6 ? [familyOf(true, nameservers)] : [])];
}

function readResolver(): string {
  try {
    return readFileSync("/etc/resolv.conf", "utf8");
  } catch {
    return "";
  }
}

/** TPROXY: marked packets are for this pod, whatever their address. IPv6: the address from which a proxy calls its pod. */
async function addRoutes(
  transparent: { readonly tproxyMark: number; readonly tproxyTable: number } | undefined,
  { v6 }: Family,
): Promise<void> {
  const ip = v6 ? "-6" : "-4";
  if (v6) await run("ip", ["-6", "address", "replace", "::6/128", "dev", "lo"]);
  if (transparent === undefined) return;
  const mark = String(transparent.tproxyMark);
  const table = String(transparent.tproxyTable);
  const known = await run("ip", [ip, "rule", "show", "fwmark", mark, "lookup", table]);
  if (known.trim() === "") await run("ip", [ip, "rule", "add", "fwmark", mark, "lookup", table]);
  await run("ip", [ip, "route", "replace", "local", v6 ? "::/0" : "0.0.0.0/0", "dev", "lo", "table", table]);
}

/** @throws Error with the program's last words */
function run(program: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { timeout: 30_000, maxBuffer: 1 << 24 }, (error, out, err) => {
      if (error === null) return resolve(out);
      const missing = "code" in error && error.code === "ENOENT";
      const words = missing ? "is not installed" : err.trim().split("\n").at(-1) || error.message;
      reject(new Error(`${program}: ${words}`, { cause: error }));
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}
