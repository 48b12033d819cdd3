import type { ServerResponse } from "node:http";
import type { ApiContext, Target } from "../context.ts";
import type { ApiObject } from "../object.ts";
import type { Form } from "../request/negotiate.ts";
import { checkListOptions, readVersion } from "../request/options.ts";
import { groupVersion, storeName } from "../resources/resource.ts";
import { expired, unforeseen } from "../status.ts";
import type { Entry } from "../storage/entry.ts";
import type { Change, History } from "../storage/history.ts";
import type { TableOptions } from "../table/table.ts";
import { encodeObject } from "./encode.ts";
import { everything, type Match, readSelectors } from "./read.ts";

const bookmarkEvery = 60_000;
const tooOld = "too old resource version";

/**
 * Streams the changes of a resource until the client goes, `timeoutSeconds` pass or the server closes.
 *
 * Nothing is queued for a client: where its socket is full the watch waits, and reads on from the
 * history when it drains. A client that falls behind the history gets an ERROR event of code 410.
 */
export function serveWatch(
  context: ApiContext,
  target: Target,
  query: URLSearchParams,
  form: Form,
  response: ServerResponse,
  table: TableOptions,
): Promise<void> {
  const match = readSelectors(query, target);
  const history = context.store.history(storeName(target.resource));
  const start = startOf(context, target, query, match, history);
  return new Promise((resolve) => {
    new Watch(
      context,
      target,
      form,
      table,
      response,
      history,
      match,
      start,
      query.get("allowWatchBookmarks") === "true",
    ).run(Number(query.get("timeoutSeconds") ?? 0) * 1000, resolve);
  });
}

interface Start {
  /** Sent first, as ADDED. */
  readonly initial: readonly Entry[];
  /** Where in the history to go on. */
  readonly position: number;
  /** Changes up to this revision are already in `initial`. */
  readonly revision: number;
  /** Whether the end of `initial` is marked by a bookmark. */
  readonly marksEnd: boolean;
}

function startOf(
  context: ApiContext,
  target: Target,
  query: URLSearchParams,
  match: Match,
  history: History,
): Start {
  const text = query.get("resourceVersion") ?? "";
  const sendInitial = query.get("sendInitialEvents") === "true";
  checkListOptions(query, true);
  const asked = readVersion(text, unforeseen);
  const { revision } = context.store;
  if (asked > revision) throw expired(`Too large resource version: ${asked}, current: ${revision}`);
  if (sendInitial || ((text === "" || asked === 0) && !query.has("sendInitialEvents"))) {
    const entries = context.store.list(storeName(target.resource), target.namespace);
    const initial = match === everything ? entries : entries.filter(({ object }) => match(object));
    return { initial, position: history.end, revision, marksEnd: sendInitial };
  }
  const from = text === "" ? revision : asked;
  const position = history.after(from);
  if (position === undefined) throw expired(`${tooOld}: ${from} (${revision})`);
  return { initial: [], position, revision: from, marksEnd: false };
}

class Watch {
  readonly #context: ApiContext;
  readonly #target: Target;
  readonly #form: Form;
  #table: TableOptions;
  readonly #response: ServerResponse;
  readonly #history: History;
  readonly #match: Match;
  readonly #start: Start;
  readonly #bookmarks: boolean;
  #position: number;
  /** The newest revision that the client knows of. */
  #revision: number;
  #bookmarked = 0;
  #ended = false;

  constructor(
    context: ApiContext,
    target: Target,
    form: Form,
    table: TableOptions,
    response: ServerResponse,
    history: History,
    match: Match,
    start: Start,
    bookmarks: boolean,
  ) {
    this.#context = context;
    this.#target = target;
    this.#form = form;
    this.#table = table;
    this.#response = response;
    this.#history = history;
    this.#match = match;
    this.#start = start;
    this.#bookmarks = bookmarks;
    this.#position = start.position;
    this.#revision = start.revision;
  }

  run(timeout: number, done: () => void): void {
    const response = this.#response;
    response.writeHead(200, { "content-type": this.#form.mediaType, "cache-control": "no-cache, private" });
    response.flushHeaders();
    const pump = () => this.#pump();
    const stopListening = this.#history.onPush(pump);
    const end = () => {
      if (this.#ended) return;
      this.#ended = true;
      this.#bookmark();
      response.end();
    };
    const timer = timeout > 0 ? setTimeout(end, timeout) : undefined;
    const bookmarkTimer = this.#bookmarks ? setInterval(() => this.#bookmark(), bookmarkEvery) : undefined;
    timer?.unref();
    bookmarkTimer?.unref();
    response.on("drain", pump);
    this.#context.closing.addEventListener("abort", end, { once: true });
    response.once("close", () => {
      this.#ended = true;
      stopListening();
      clearTimeout(timer);
      clearInterval(bookmarkTimer);
      this.#context.closing.removeEventListener("abort", end);
      done();
    });
    for (const entry of this.#start.initial) response.write(this.#encode("ADDED", entry));
    if (this.#start.marksEnd) this.#bookmark({ "k8s.io/initial-events-end": "true" });
    pump();
  }

  #pump(): void {
    while (!this.#ended && !this.#response.writableNeedDrain) {
      const change = this.#history.read(this.#position);
      if (change === undefined) return;
      if (change === "gone") {
        this.#cut();
        return;
      }
      this.#position++;
      if (change.revision > this.#start.revision) {
        this.#revision = change.revision;
        this.#sendChange(change);
      }
    }
  }

  /** A change of an object may bring it into the selection or take it out of it. */
  #sendChange(change: Change): void {
    const { type } = change;
    const match = this.#match;
    // A watch of everything looks at no object.
    const was =
      type !== "ADDED" && (match === everything || (change.before !== undefined && match(change.before)));
    const is = type !== "DELETED" && (match === everything || match(change.object));
    if (is) this.#send(was ? "MODIFIED" : "ADDED", change);
    else if (was && type === "DELETED") this.#send("DELETED", change);
    else if (was && change.before !== undefined) this.#sendGone(change.before, change.object);
  }

  /** It has left the selection: its last state in it, as of now. */
  #sendGone(before: ApiObject, { metadata: { resourceVersion } }: ApiObject): void {
    const object = { ...before, metadata: { ...before.metadata, resourceVersion } };
    const { apiVersion } = object;
    this.#response.write(this.#encode("DELETED", { object, apiVersion, json: JSON.stringify(object) }));
  }

  #send(type: string, change: Change): void {
    const { as } = this.#form;
    const { resource, version } = this.#target;
    const encode = () => Buffer.from(this.#encode(type, change.entry));
    // Tables show ages by the watch's own clock.
    if (as === "table") this.#response.write(encode());
    else {
      const form = `${type} ${groupVersion(resource.group, version.name)} ${as}`;
      this.#response.write(this.#history.bytesOf(change, form, encode));
    }
  }

  #encode(type: string, encoded: Pick<Entry, "apiVersion" | "json" | "object">): string {
    const json = encodeObject(encoded, this.#target, this.#form, this.#table);
    // The first event of a table says what its columns are.
    if (this.#form.as === "table") this.#table = { ...this.#table, withoutColumns: true };
    return `{"type":"${type}","object":${json}}\n`;
  }

  #bookmark(annotations?: Record<string, string>): void {
    if (!this.#bookmarks && annotations === undefined) return;
    // Behind the history there is nothing true to say yet.
    const caughtUp = this.#position === this.#history.end;
    const revision = caughtUp ? Math.max(this.#revision, this.#start.revision) : this.#revision;
    if (annotations === undefined && revision === this.#bookmarked) return;
    this.#bookmarked = revision;
    const { resource, version } = this.#target;
    const metadata = {
      resourceVersion: String(revision),
      ...(annotations === undefined ? {} : { annotations }),
    };
    const object =
      this.#form.as === "table"
        ? { kind: "Table", apiVersion: "meta.k8s.io/v1", metadata, columnDefinitions: [], rows: [] }
        : this.#form.as === "metadata"
          ? { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata }
          : { kind: resource.kind, apiVersion: groupVersion(resource.group, version.name), metadata };
    this.#response.write(`${JSON.stringify({ type: "BOOKMARK", object })}\n`);
  }

  #cut(): void {
    this.#ended = true;
    const status = expired(`${tooOld}: ${this.#revision} (${this.#context.store.revision})`).body();
    this.#response.end(`${JSON.stringify({ type: "ERROR", object: status })}\n`);
  }
}
