import type { IncomingMessage } from "node:http";
import type { Attributes } from "../authorization/authorize.ts";
import { badRequest } from "../status.ts";
import type { User } from "./user.ts";

/** A request's `Impersonate-…` headers: who is meant, and what the asker must be allowed for it. */
export interface Impersonation {
  readonly user: User;
  readonly needed: readonly Attributes[];
  /** Which of Kubernetes' narrower modes it is: their verbs end in this. */
  readonly mode: "user-info" | "serviceaccount" | "arbitrary-node";
}

const extraPrefix = "impersonate-extra-";

/** Reads the headers; undefined where there are none. Throws 400 where groups come without a user. */
export function readImpersonation({ headersDistinct: headers }: IncomingMessage): Impersonation | undefined {
  const [username] = headers["impersonate-user"] ?? [];
  const [uid] = headers["impersonate-uid"] ?? [];
  const asked = headers["impersonate-group"] ?? [];
  const extra: Record<string, string[]> = {};
  for (const [name, values] of Object.entries(headers)) {
    if (name.startsWith(extraPrefix))
      extra[decodeURIComponent(name.slice(extraPrefix.length))] = [...(values ?? [])];
  }
  if (username === undefined || username === "") {
    if (asked.length > 0 || uid !== undefined || Object.keys(extra).length > 0)
      throw badRequest(`requested ${showAsGo(uid, asked, extra)} without impersonating a user name`);
    return undefined;
  }
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(username);
  const groups = [...asked];
  if (account !== null && asked.length === 0)
    groups.push("system:serviceaccounts", `system:serviceaccounts:${account[1]}`);
  const reserved = ["system:authenticated", "system:unauthenticated"].some((name) => groups.includes(name));
  if (!reserved)
    groups.push(username === "system:anonymous" ? "system:unauthenticated" : "system:authenticated");
  const needed = [
    account === null
      ? impersonating("", "users", username)
      : impersonating("", "serviceaccounts", account[2] ?? "", account[1]),
    ...asked.map((name) => impersonating("", "groups", name)),
    ...(uid === undefined ? [] : [impersonating("authentication.k8s.io", "uids", uid)]),
  ];
  return {
    user: {
      username,
      groups,
      ...(uid === undefined ? {} : { uid }),
      ...(Object.keys(extra).length === 0 ? {} : { extra }),
    },
    needed,
    mode:
      account !== null
        ? "serviceaccount"
        : username.startsWith("system:node:")
          ? "arbitrary-node"
          : "user-info",
  };
}

function showAsGo(
  uid: string | undefined,
  groups: readonly string[],
  extra: Record<string, string[]>,
): string {
  const list = (values: readonly string[]) =>
    `[]string{${values.map((value) => JSON.stringify(value)).join(", ")}}`;
  const pairs = Object.entries(extra).map(([name, values]) => `${JSON.stringify(name)}:${list(values)}`);
  const shownExtra = pairs.length === 0 ? "(nil)" : `{${pairs.join(", ")}}`;
  const shownGroups = groups.length === 0 ? "[]string(nil)" : list(groups);
  return `&user.DefaultInfo{Name:"", UID:${JSON.stringify(uid ?? "")}, Groups:${shownGroups}, Extra:map[string][]string${shownExtra}}`;
}

function impersonating(group: string, resource: string, name: string, namespace?: string): Attributes {
  return { kind: "resource", verb: "impersonate", group, resource, subresource: undefined, namespace, name };
}
