/** Pods of the tests of pods as processes, and what kubectl says of them. */
import { expect } from "vitest";
import type { Kubectl } from "./kubectl.ts";

type Container = Readonly<Record<string, unknown>>;

export function podOf(name: string, spec: object) {
  return { apiVersion: "v1", kind: "Pod", metadata: { name }, spec };
}

/** A pod of one container that is not restarted. */
export function once(name: string, container: Container) {
  return podOf(name, {
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "main", image: "sh", ...container }],
  });
}

/** kubectl of a person whose commands all succeed. */
export function personWith(kubectl: Kubectl) {
  /** Standard output of a command. */
  async function run(...words: string[]): Promise<string> {
    const { code, out, err } = await kubectl(...words);
    expect(code, err).toBe(0);
    return out;
  }
  return {
    run,
    apply: async (...objects: object[]) => {
      const { code, err } = await kubectl.apply(...objects);
      expect(code, err).toBe(0);
    },
    /** A pod's events, as `REASON: MESSAGE`. */
    events: async (name: string) =>
      (
        await run(
          "events",
          "--for",
          `pod/${name}`,
          "-o",
          "jsonpath={range .items[*]}{.reason}: {.message}{'\\n'}{end}",
        )
      ).split("\n"),
  };
}
