import { hasControl } from "./characters.ts";

/** Methods that Envoy's HTTP/1.1 parser knows. */
const methods = new Set(
  (
    "ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY " +
    "OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK " +
    "UNLOCK UNSUBSCRIBE"
  ).split(" "),
);

type Target =
  | { readonly path: string /** Of an absolute target, else undefined. */; readonly host: string | undefined }
  | { readonly status: 400 | 404; readonly reason: string };

/** Reads the target of a request line: a path, an absolute URL, whose host counts then, or `*` of OPTIONS. */
export function readTarget(method: string, target: string): Target {
  if (!methods.has(method)) return { status: 400, reason: "http1.codec_error" };
  if (target === "" || hasControl(target) || /[ \u0080-\uffff]/.test(target))
    return { status: 400, reason: "http1.codec_error" };
  if (method === "CONNECT") {
    if (target.startsWith("/")) return { status: 400, reason: "http1.invalid_url" };
    return { status: 404, reason: "route_not_found" };
  }
  if (target.startsWith("/")) return { path: target, host: undefined };
  if (target === "*") {
    return method === "OPTIONS"
      ? { status: 404, reason: "absolute_path_rejected" }
      : { status: 400, reason: "http1.invalid_url" };
  }
  const absolute = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(.*)$/.exec(target);
  if (absolute === null) return { status: 400, reason: "http1.codec_error" };
  const [, scheme = "", authority = "", path = ""] = absolute;
  if (!/^https?$/i.test(scheme)) return { status: 400, reason: "http1.invalid_scheme" };
  return { path: path === "" ? "/" : path, host: authority.slice(authority.lastIndexOf("@") + 1) };
}
