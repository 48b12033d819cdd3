/** The corpus: scenarios of requests, one file each, that both servers get in the same order. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

/** One request, and what of its answer is kept for later ones. */
export interface Step {
  readonly name: string;
  /**
   * `METHOD /path?query`; `$name` is a saved value, `$ns` the scenario's namespace, `$webhook` and `$ca` a webhook,
   * `$repo` this repository.
   */
  readonly request: string;
  /** Instead of a request: a kubectl or helm command. Its exit code and what it says are compared. */
  readonly run?: string;
  /** Objects that the command reads from its standard input. */
  readonly input?: readonly unknown[];
  /** Sent as JSON, or as YAML where the content type says so. */
  readonly body?: unknown;
  /** Sent as it is. */
  readonly text?: string;
  /** Sent as these bytes. */
  readonly base64?: string;
  /** Sends that many bytes of one JSON text, for limits. */
  readonly size?: number;
  /** Sends an object whose annotations have that many bytes. */
  readonly annotations?: number;
  /** Sends lists nested that deep. */
  readonly nesting?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default `admin`; a name is impersonated, with groups behind a slash each; `token:NAME` is a saved token. */
  readonly as?: string;
  /** Name → path into the answer, e.g. `metadata.resourceVersion`. */
  readonly save?: Readonly<Record<string, string>>;
  /** Asks again until the answer is so, 10 s at most: `status`, or values by path. */
  readonly until?: { readonly status?: number; readonly [path: string]: unknown };
  /** Paths whose value is compared with a saved one: the outcome counts as part of the answer. */
  readonly same?: Readonly<Record<string, string>>;
  /** Compares the status only, or these paths of the body only. */
  readonly compare?: "status" | readonly string[];
  /** Follows a watch from here on, while the next steps go on; its first so many events are compared at the end. */
  readonly events?: number;
  /** Sends it, and does not compare the answer: it only prepares the next steps. */
  readonly setup?: true;
}

export interface Scenario {
  /** The file's name, without its ending. */
  readonly name: string;
  /** Whether a namespace of its own is made first. Default true. */
  readonly namespace: boolean;
  /** Files that commands find where they run. */
  readonly files: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

const folder = join(import.meta.dirname, "corpus");

/** Reads the scenarios whose name or steps match `only`. Throws where a file cannot be read. */
export function readCorpus(only: RegExp | undefined): Scenario[] {
  return readdirSync(folder)
    .filter((file) => /\.(yaml|json)$/.test(file))
    .sort()
    .map((file): Scenario => {
      const {
        namespace = true,
        files = {},
        steps,
      } = parse(readFileSync(join(folder, file), "utf8")) as Partial<Scenario>;
      return { name: file.replace(/\.\w+$/, ""), namespace, files, steps: steps ?? [] };
    })
    .filter(({ name }) => only === undefined || only.test(name));
}
