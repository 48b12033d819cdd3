import type { ResourceRef } from "../../../api/resource.ts";
import type { Cut, Run, Signal, Window } from "../../../api/signals.ts";

/** Audience of the token that a controller shows the mesh: a token for this is good for nothing else. */
export const signalsAudience = "fairlead-mesh";

/** How many proxies hold a route, and which stored version of it that is about. */
export interface RouteHolding {
  readonly held: number;
  readonly of: number;
  /** `metadata.resourceVersion` of the route as the mesh knows it; absent where it knows none. */
  readonly resourceVersion?: string;
}

export interface HistoryRequest {
  readonly run: Run;
  readonly seconds: number;
}

const service = "/fairlead.signals.v1.Signals";

/** Both ends are fairlead's own and of one release, so messages are JSON. */
function json<T>(): { readonly write: (value: T) => Buffer; readonly read: (bytes: Buffer) => T } {
  return {
    write: (value) => Buffer.from(JSON.stringify(value)),
    read: (bytes) => JSON.parse(bytes.toString("utf8")) as T,
  };
}

function method<Request, Response>(name: string, responseStream: boolean) {
  const request = json<Request>();
  const response = json<Response>();
  return {
    path: `${service}/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: request.write,
    requestDeserialize: request.read,
    responseSerialize: response.write,
    responseDeserialize: response.read,
  } as const;
}

/** What a controller in a process of its own asks of the mesh: `Signals`, and what proxies hold of a route. */
export const signalsDefinition = {
  /** Signals of a run from now on, several a message. */
  watch: method<Run, readonly Signal[]>("Watch", true),
  history: method<HistoryRequest, readonly Window[]>("History", false),
  cut: method<Cut, { readonly held: number; readonly of: number }>("Cut", false),
  release: method<{ readonly id: string }, Record<string, never>>("Release", false),
  /** One message at once, one at each change. */
  holding: method<ResourceRef, RouteHolding>("Holding", true),
} as const;
