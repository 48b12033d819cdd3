import { below } from "../schema/pointer.ts";
import { isObject } from "../schema/prepare.ts";
import { suggest } from "../schema/suggest.ts";
import { show } from "../schema/validate.ts";
import { type Report, readDuration } from "./fields.ts";
import type { ReadGuard } from "./types.ts";

const on: ReadGuard = { tripWire: true, errors: true, latency: true, alpha: 0.001, warmup: 60_000 };
const off: ReadGuard = { ...on, tripWire: false, errors: false, latency: false };
const switches = ["tripWire", "errors", "latency"] as const;

/**
 * `spec.analysis.guard`: `on` (default), `off`, or its parts. A bare `on` in YAML reaches the API server as `true`, so
 * both are taken.
 */
export function readGuard(guard: unknown, field: string, report: Report): ReadGuard {
  if (guard === undefined) return on;
  const all = asSwitch(guard);
  if (all !== undefined) return all ? on : off;
  if (!isObject(guard)) {
    report(
      field,
      `is ${show(guard)}, must be on, off or an object with ${switches.join(", ")}, alpha, warmup`,
    );
    return on;
  }
  const allowed = [...switches, "alpha", "warmup"];
  for (const name of Object.keys(guard)) {
    if (!allowed.includes(name))
      report(below(field, name), `is not a field: ${suggest(name, allowed)}`, "warning");
  }
  return {
    ...on,
    ...readSwitches(guard, field, report),
    ...readAlpha(guard.alpha, below(field, "alpha"), report),
    ...readWarmup(guard.warmup, below(field, "warmup"), report),
  };
}

function asSwitch(value: unknown): boolean | undefined {
  if (value === true || value === "on") return true;
  if (value === false || value === "off") return false;
  return undefined;
}

function readSwitches(
  guard: Readonly<Record<string, unknown>>,
  field: string,
  report: Report,
): Partial<ReadGuard> {
  const read: Record<string, boolean> = {};
  for (const name of switches) {
    if (guard[name] === undefined) continue;
    const value = asSwitch(guard[name]);
    if (value === undefined) report(below(field, name), `is ${show(guard[name])}, must be on or off`);
    else read[name] = value;
  }
  return read;
}

function readAlpha(alpha: unknown, field: string, report: Report): Partial<ReadGuard> {
  if (alpha === undefined) return {};
  if (typeof alpha === "number" && alpha > 0 && alpha < 1) return { alpha };
  report(field, `is ${show(alpha)}, must be a chance above 0 and below 1 such as ${on.alpha}`);
  return {};
}

function readWarmup(warmup: unknown, field: string, report: Report): Partial<ReadGuard> {
  if (warmup === undefined) return {};
  if (typeof warmup === "string")
    return { warmup: readDuration(warmup, field, { least: 0, fallback: on.warmup }, report) };
  report(field, `is ${show(warmup)}, must be a duration such as \`60s\``);
  return {};
}
