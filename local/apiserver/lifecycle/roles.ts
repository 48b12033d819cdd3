/** The roles that every cluster has, and roles that are put together of others. */
import { readFileSync } from "node:fs";
import type { ApiContext } from "../context.ts";
import { equalJson, isObject, listAt } from "../json.ts";
import { type ApiObject, isApiObject } from "../object.ts";
import { readLabelSelector } from "../selectors/labels.ts";
import { createObject } from "../verbs/create.ts";
import { updateObject } from "../verbs/update.ts";
import { inBackground, internalWrite, targetOf } from "./internal.ts";

const clusterRoles = "clusterroles.rbac.authorization.k8s.io";
const clusterRoleBindings = "clusterrolebindings.rbac.authorization.k8s.io";

/** Makes the roles and bindings of Kubernetes itself, where they are missing. Kubernetes' own set, without its controllers'. */
export async function createFirstRoles(context: ApiContext): Promise<void> {
  const file = new URL("../authorization/first-roles.json", import.meta.url);
  const objects: unknown = JSON.parse(readFileSync(file, "utf8"));
  const missing = (Array.isArray(objects) ? objects : []).filter(isApiObject).flatMap((object) => {
    const resource = object.kind === "ClusterRole" ? clusterRoles : clusterRoleBindings;
    const target = targetOf(context, resource, undefined, object.metadata.name);
    const there = context.store.get(resource, undefined, object.metadata.name) !== undefined;
    return target === undefined || there ? [] : [{ target, object }];
  });
  // At once, so that they share one write to the disk.
  await Promise.all(
    missing.map(({ target, object }) => createObject(context, target, object, internalWrite())),
  );
  for (const { object } of context.store.list(clusterRoles)) await aggregate(context, object);
}

/** Keeps the rules of roles that are put together (`aggregationRule`) up with the roles that they select. */
export function keepAggregatedRoles(context: ApiContext): void {
  context.store.onChange(({ resource }) => {
    if (resource !== clusterRoles) return;
    inBackground(context, "put roles together", async () => {
      for (const { object } of context.store.list(clusterRoles)) await aggregate(context, object);
    });
  });
}

async function aggregate(context: ApiContext, role: ApiObject): Promise<void> {
  if (!isObject(role.aggregationRule)) return;
  const selectors = listAt(role.aggregationRule, "clusterRoleSelectors").map(readLabelSelector);
  const rules: unknown[] = [];
  for (const { object } of context.store.list(clusterRoles)) {
    if (object.metadata.name === role.metadata.name) continue;
    if (!selectors.some((selects) => selects(object.metadata.labels ?? {}))) continue;
    for (const rule of listAt(object, "rules"))
      if (!rules.some((known) => equalJson(known, rule))) rules.push(rule);
  }
  if (equalJson(listAt(role, "rules"), rules)) return;
  const target = targetOf(context, clusterRoles, undefined, role.metadata.name);
  if (target === undefined) return;
  await updateObject(context, target, (current) => ({ ...current, rules }), {
    ...internalWrite(),
    fieldManager: "clusterrole-aggregation-controller",
  });
}
