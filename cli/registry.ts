import type { Command } from "commander";

/** Gives the program one command, with all its options and what it does. */
type AddCommand = (program: Command) => void;

/** A command as the list of all shows it; the rest is loaded when it is asked for, so that help stays quick. */
export interface CommandEntry {
  readonly name: string;
  readonly group: string;
  readonly summary: string;
  readonly load: () => Promise<AddCommand>;
}

const local = "On this machine:";
const release = "Releases:";
const objects = "Objects:";
const access = "Policies:";
const mesh = "Mesh:";
const other = "Other:";

/** All commands, in the order of the help. */
export const commands: readonly CommandEntry[] = [
  {
    name: "demo",
    group: local,
    summary: "release a good and a bad version of a small service through real Envoys, and watch",
    load: async () => (await import("./commands/demo.ts")).addDemo,
  },
  {
    name: "up",
    group: local,
    summary: "start a Kubernetes API, the mesh and the controller on this machine",
    load: async () => (await import("./commands/up.ts")).addUp,
  },
  {
    name: "status",
    group: local,
    summary: "show what runs on this machine",
    load: async () => (await import("./commands/status.ts")).addStatus,
  },
  {
    name: "down",
    group: local,
    summary: "stop what `up` started",
    load: async () => (await import("./commands/down.ts")).addDown,
  },
  {
    name: "check",
    group: local,
    summary: "see whether this machine has what fairlead needs",
    load: async () => (await import("./commands/check.ts")).addCheck,
  },
  {
    name: "wait",
    group: release,
    summary: "wait until a canary is promoted or rolled back",
    load: async () => (await import("./commands/wait.ts")).addWait,
  },
  {
    name: "why",
    group: release,
    summary: "say in a few lines why a canary is where it is",
    load: async () => (await import("./commands/why.ts")).addWhy,
  },
  {
    name: "watch",
    group: release,
    summary: "show one rollout live: weights, pods, checks, events",
    load: async () => (await import("./commands/watch.ts")).addWatch,
  },
  {
    name: "plan",
    group: release,
    summary: "show what a Canary of a file would make, and its weights over time",
    load: async () => (await import("./commands/plan.ts")).addPlan,
  },
  {
    name: "promote",
    group: release,
    summary: "promote a canary now, without waiting for its analysis",
    load: async () => (await import("./commands/action.ts")).addAction("promote"),
  },
  {
    name: "abort",
    group: release,
    summary: "take a canary back now",
    load: async () => (await import("./commands/action.ts")).addAction("abort"),
  },
  {
    name: "pause",
    group: release,
    summary: "hold a canary at its weight",
    load: async () => (await import("./commands/action.ts")).addAction("pause"),
  },
  {
    name: "resume",
    group: release,
    summary: "let a paused canary go on",
    load: async () => (await import("./commands/action.ts")).addAction("resume"),
  },
  {
    name: "retry",
    group: release,
    summary: "analyse a rolled back revision once more",
    load: async () => (await import("./commands/action.ts")).addAction("retry"),
  },
  {
    name: "skip",
    group: release,
    summary: "take a canary's next step now",
    load: async () => (await import("./commands/action.ts")).addAction("skip"),
  },
  {
    name: "set-weight",
    group: release,
    summary: "give a canary this share of the traffic",
    load: async () => (await import("./commands/action.ts")).addAction("set-weight"),
  },
  {
    name: "history",
    group: release,
    summary: "list the last runs of a canary",
    load: async () => (await import("./commands/history.ts")).addHistory,
  },
  {
    name: "get",
    group: objects,
    summary: "list canaries or any other objects",
    load: async () => (await import("./commands/get.ts")).addGet,
  },
  {
    name: "describe",
    group: objects,
    summary: "show a canary: phase, weights, checks, conditions, events",
    load: async () => (await import("./commands/describe.ts")).addDescribe,
  },
  {
    name: "events",
    group: objects,
    summary: "list what happened",
    load: async () => (await import("./commands/events.ts")).addEvents,
  },
  {
    name: "logs",
    group: objects,
    summary: "print a pod's log",
    load: async () => (await import("./commands/logs.ts")).addLogs,
  },
  {
    name: "apply",
    group: objects,
    summary: "create or change the objects of manifest files",
    load: async () => (await import("./commands/apply.ts")).addApply,
  },
  {
    name: "delete",
    group: objects,
    summary: "delete the objects of manifest files",
    load: async () => (await import("./commands/delete.ts")).addDelete,
  },
  {
    name: "authz",
    group: access,
    summary: "see which policies are in force at a workload, and ask what they say of a request",
    load: async () => (await import("./commands/authz.ts")).addAuthz,
  },
  {
    name: "explain",
    group: mesh,
    summary: "say where a request goes and why, or which rule denied it",
    load: async () => (await import("./commands/explain.ts")).addExplain,
  },
  {
    name: "mesh",
    group: mesh,
    summary: "print all that a proxy would be sent, from manifests",
    load: async () => (await import("./commands/mesh.ts")).addMesh,
  },
  {
    name: "proxy",
    group: mesh,
    summary: "see what each proxy holds, should hold, and really runs",
    load: async () => (await import("./commands/proxy.ts")).addProxy,
  },
  {
    name: "policy",
    group: access,
    summary: "run policy test files on our evaluator and on a real Envoy",
    load: async () => (await import("./commands/policy.ts")).addPolicy,
  },
  {
    name: "analysis",
    group: other,
    summary: "judge recorded runs again, show them, see what to expect of an analysis",
    load: async () => (await import("./commands/analysis.ts")).addAnalysis,
  },
  {
    name: "migrate",
    group: other,
    summary: "take Canaries over from Flagger",
    load: async () => (await import("./commands/migrate.ts")).addMigrate,
  },
  {
    name: "agent",
    group: other,
    summary: "run beside a workload: keys, certificates, Envoy (what the sidecar's image starts)",
    // `main.ts` starts it without coming here.
    load: async () => (program) =>
      void program.command("agent").description("run beside a workload, as its sidecar"),
  },
  {
    name: "serve",
    group: other,
    summary: "run the control plane in a cluster (what the Helm chart starts)",
    load: async () => (await import("./commands/serve.ts")).addServe,
  },
  {
    name: "version",
    group: other,
    summary: "print the versions of fairlead, Node and the API server",
    load: async () => (await import("./commands/version.ts")).addVersion,
  },
];
