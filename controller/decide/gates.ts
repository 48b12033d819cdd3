import type { HookType } from "../../api/hooks.ts";
import type { Notice } from "./effects.ts";
import type { HandGates } from "./observation.ts";
import { type DecisionSpec, hooksOf, type SpecHook } from "./spec.ts";

/** The hook types that hold a canary until they pass. */
export type GateType = Extract<
  HookType,
  "confirm-rollout" | "confirm-traffic-increase" | "confirm-promotion"
>;

/** The gates of a type that are asked: a person's word about one, or about its type, stands in for its answer. */
export function gatesToAsk(spec: DecisionSpec, gates: HandGates, type: GateType): readonly SpecHook[] {
  if (gates.has(type)) return [];
  return hooksOf(spec, type).filter(({ name }) => !gates.has(name));
}

/** The first gate of a type that a person has closed; undefined where none is. */
export function closedByHand(spec: DecisionSpec, gates: HandGates, type: GateType): string | undefined {
  const word = gates.get(type);
  if (word !== undefined) return word === "closed" ? type : undefined;
  return hooksOf(spec, type).find(({ name }) => gates.get(name) === "closed")?.name;
}

const waitsFor: Readonly<Record<GateType, string>> = {
  "confirm-rollout": "approval",
  "confirm-traffic-increase": "traffic increase approval",
  "confirm-promotion": "promotion approval",
};

/** Flagger's words for a canary that a gate holds. */
export function gateNotice(spec: DecisionSpec, type: GateType, name: string): Notice {
  return {
    reason: "WaitingForApproval",
    message: `Halt ${spec.canary} advancement waiting for ${waitsFor[type]} ${name}`,
    stalled: false,
  };
}
