import type { Readable } from "node:stream";

/**
 * Keeps Node from asking a socket or an HTTP/2 stream for more after each chunk that it gave: these push what comes, asked
 * or not, and to ask takes a tick of the event loop's queue, a tenth of what a short message costs.
 *
 * For streams that are read as they flow and never paused. Node has no public way to say so: where a version of it keeps no
 * such mark, it asks as ever.
 */
export function stopReadingAhead(stream: Readable): void {
  mark(stream);
  // Once more: where a request waits in the queue already, the mark goes with it.
  setImmediate(() => mark(stream));
}

/** As Node marks a stream whose next chunk it will ask for in a moment: it does not ask twice. */
function mark(stream: Readable): void {
  const state: unknown = Reflect.get(stream, "_readableState");
  if (typeof state === "object" && state !== null && typeof Reflect.get(state, "readingMore") === "boolean")
    Reflect.set(state, "readingMore", true);
}
