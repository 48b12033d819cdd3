import type { Logger } from "../../lib/log.ts";
import type { Admission } from "./admission/admission.ts";
import type { Tokens } from "./authentication/tokens.ts";
import type { User } from "./authentication/user.ts";
import type { JsonObject } from "./json.ts";
import type { Registry } from "./resources/registry.ts";
import type { Resource, ResourceVersion } from "./resources/resource.ts";
import type { Store } from "./storage/store.ts";

/** What `kubectl logs` asks for. Absent fields: not asked. */
export interface PodLogQuery {
  readonly container?: string;
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines?: number;
  readonly sinceSeconds?: number;
  /** RFC 3339. */
  readonly sinceTime?: string;
  readonly limitBytes?: number;
  /** Aborted when the reader has gone. */
  readonly signal: AbortSignal;
}

/** Gives a container's log. Throws where the container does not exist or has no log; the message goes to the user. */
export type PodLog = (namespace: string, name: string, query: PodLogQuery) => AsyncIterable<Buffer>;

/** Where a webhook's Service is reached from this process. */
export type ResolveService = (service: {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}) => { readonly host: string; readonly port: number } | undefined;

/** What every request handler works with. */
export interface ApiContext {
  readonly store: Store;
  readonly registry: Registry;
  readonly tokens: Tokens;
  readonly admission: Admission;
  readonly logger: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly podLog: PodLog | undefined;
  /** Aborted when the server closes: ends every watch. */
  readonly closing: AbortSignal;
}

export type FieldValidation = "Ignore" | "Warn" | "Strict";

/** Which resource a request is about. */
export interface Target {
  readonly resource: Resource;
  readonly version: ResourceVersion;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** How a write is to be done. */
export interface WriteOptions {
  readonly user: User;
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
  readonly fieldManager: string;
  /** The options as the client gave them: admission webhooks see them. */
  readonly given?: JsonObject;
  /** The object comes out of server-side apply: its managedFields are set already. */
  readonly applied?: true;
  /** The object comes out of a patch; `shown` is how a refusal shows it, where that is not the patched object. */
  readonly patched?: { readonly shown?: string };
  /** What a strict reader says of the body besides unknown fields. */
  readonly strictFaults?: readonly string[];
  /** The subresource under which managers are remembered, where it is not the target's. */
  readonly trackedAs?: string;
  /** Texts for `Warning` headers are added here. */
  readonly warnings: string[];
}
