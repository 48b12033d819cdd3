import { lookup as resolveName } from "node:dns";
import { get as getHttp, type IncomingMessage } from "node:http";
import { get as getHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import type { Egress } from "./egress.ts";

/** What may be fetched at most. */
const mostBytes = 1024 * 1024;
const mostRedirects = 5;

/** Thrown where a document cannot be had. The message never holds a part of what was answered. */
export class FetchError extends Error {
  override readonly name = "FetchError";
}

/**
 * Fetches a document by GET, at most 1 MiB, behind the egress guard: each address is looked at when it is connected to, on
 * every hop, so neither a redirect nor a name that changes its address leads elsewhere.
 *
 * @param timeout milliseconds for all of it, redirects included
 * @throws FetchError
 */
export async function fetchDocument(uri: string, egress: Egress, timeout: number): Promise<string> {
  const signal = AbortSignal.timeout(timeout);
  let at = readUrl(uri, undefined);
  for (let hop = 0; hop <= mostRedirects; hop += 1) {
    const answer = await request(at, egress, signal, timeout);
    const { statusCode = 0, headers } = answer;
    if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
      answer.destroy();
      at = readUrl(headers.location, at);
      continue;
    }
    if (statusCode !== 200) {
      answer.destroy();
      throw new FetchError(`answered with status ${statusCode}`);
    }
    return readAll(answer, signal, timeout);
  }
  throw new FetchError(`redirects more than ${mostRedirects} times`);
}

function readUrl(text: string, base: URL | undefined): URL {
  const url = URL.parse(text, base?.href);
  if (url === null) throw new FetchError("is no URL");
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw new FetchError("is neither http nor https");
  if (base?.protocol === "https:" && url.protocol === "http:")
    throw new FetchError("redirects from https to http");
  if (url.username !== "" || url.password !== "") throw new FetchError("has a password in its URL");
  return url;
}

function request(url: URL, egress: Egress, signal: AbortSignal, timeout: number): Promise<IncomingMessage> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const refused = isIP(host) === 0 ? undefined : egress(host);
  if (refused !== undefined) return Promise.reject(new FetchError(`its address is not allowed: ${refused}`));
  return new Promise((resolve, reject) => {
    const options = {
      // A connection of its own, so that one made before the guard looked is never used again.
      agent: false as const,
      lookup: guardedLookup(egress),
      signal,
      headers: { accept: "application/json", "user-agent": "fairlead" },
      maxHeaderSize: 16 * 1024,
    };
    const get = url.protocol === "https:" ? getHttps : getHttp;
    get(url, options, resolve).on("error", (error) => reject(inWords(error, signal, timeout)));
  });
}

/** The system's lookup, but every address that it gives must be allowed. */
function guardedLookup(egress: Egress): LookupFunction {
  return (hostname, options, callback) => {
    resolveName(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, "");
      for (const { address } of addresses) {
        const refused = egress(address);
        if (refused !== undefined)
          return callback(new FetchError(`its address is not allowed: ${refused}`), "");
      }
      const [first] = addresses;
      if (options.all) callback(null, addresses);
      else callback(null, first?.address ?? "", first?.family);
    });
  };
}

async function readAll(answer: IncomingMessage, signal: AbortSignal, timeout: number): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of answer) {
      const bytes = Buffer.from(part as Uint8Array);
      size += bytes.length;
      if (size > mostBytes) throw new FetchError("is larger than 1 MiB");
      parts.push(bytes);
    }
  } catch (error) {
    answer.destroy();
    throw inWords(error, signal, timeout);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Errors of the network by their codes alone: their messages may hold what somebody else wrote. */
function inWords(error: unknown, signal: AbortSignal, timeout: number): FetchError {
  if (error instanceof FetchError) return error;
  if (signal.aborted) return new FetchError(`gave no answer in ${timeout} ms`);
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  return new FetchError(`cannot be reached (${code})`);
}
