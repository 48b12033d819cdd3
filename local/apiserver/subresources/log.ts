import type { ServerResponse } from "node:http";
import type { ApiContext, PodLogQuery, Target } from "../context.ts";
import { listAt, textAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { badRequest, StatusError } from "../status.ts";
import { getEntry } from "../verbs/read.ts";

/** GET pods/NAME/log: streams what the pod runner gives. Throws 400 where no container is meant, 501 without a pod runner. */
export async function servePodLog(
  context: ApiContext,
  target: Target,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const pod = getEntry(context, target).object;
  const container = chooseContainer(pod, query.get("container") ?? undefined);
  if ((textAt(pod, "spec", "nodeName") ?? "") === "") {
    // Nobody has run it yet: there is nothing to say.
    response.writeHead(204).end();
    return;
  }
  if (context.podLog === undefined)
    throw new StatusError(501, "NotImplemented", "this server runs no pods: there are no logs");
  const gone = new AbortController();
  const stop = () => gone.abort();
  response.once("close", stop);
  context.closing.addEventListener("abort", stop, { once: true });
  try {
    const log = context.podLog(
      target.namespace ?? "",
      pod.metadata.name,
      readLogQuery(query, container, gone.signal),
    );
    let begun = false;
    for await (const chunk of log) {
      if (!begun) response.writeHead(200, { "content-type": "text/plain" });
      begun = true;
      if (!response.write(chunk)) await drained(response, gone.signal);
      if (gone.signal.aborted) break;
    }
    if (!begun) response.writeHead(200, { "content-type": "text/plain" });
    response.end();
  } catch (error) {
    if (gone.signal.aborted || response.headersSent) response.destroy();
    else if (error instanceof StatusError) throw error;
    else throw badRequest(error instanceof Error ? error.message : String(error));
  } finally {
    context.closing.removeEventListener("abort", stop);
  }
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    response.on("drain", done);
    signal.addEventListener("abort", done);
  });
}

function chooseContainer(pod: ApiObject, asked: string | undefined): string {
  const names = listAt(pod, "spec", "containers").map((item) => textAt(item, "name") ?? "");
  const initial = listAt(pod, "spec", "initContainers").map((item) => textAt(item, "name") ?? "");
  const { name } = pod.metadata;
  if (asked !== undefined) {
    if ([...names, ...initial].includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  const [only] = names;
  if (only !== undefined && names.length === 1) return only;
  throw badRequest(
    `a container name must be specified for pod ${name}, choose one of: [${[...initial, ...names].join(" ")}]`,
  );
}

function readLogQuery(query: URLSearchParams, container: string, signal: AbortSignal): PodLogQuery {
  const flag = (name: string) => query.get(name) === "true" || query.get(name) === "1";
  const number = (name: "tailLines" | "sinceSeconds" | "limitBytes") => {
    const text = query.get(name);
    if (text === null) return {};
    if (!/^\d+$/.test(text)) throw badRequest(`${name} must be a whole number, 0 or more`);
    return { [name]: Number(text) };
  };
  const sinceTime = query.get("sinceTime");
  return {
    container,
    follow: flag("follow"),
    previous: flag("previous"),
    timestamps: flag("timestamps"),
    ...number("tailLines"),
    ...number("sinceSeconds"),
    ...number("limitBytes"),
    ...(sinceTime === null ? {} : { sinceTime }),
    signal,
  };
}
