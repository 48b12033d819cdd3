import type { ApiContext, Target, WriteOptions } from "../context.ts";
import { notSupported } from "../field-errors.ts";
import { cloneJson, isObject, type JsonObject, listAt, numberAt, textAt } from "../json.ts";
import { type ApiObject, timestamp } from "../object.ts";
import { refuseOptions } from "../request/options.ts";
import { storeName } from "../resources/resource.ts";
import { badRequest, conflict, forbidden, modified, notFound } from "../status.ts";
import { StaleError } from "../storage/store.ts";
import { inVersion, mayGo } from "./update.ts";

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** Reads DeleteOptions from a body and the query (the query wins). Throws 400 where a value is not known. */
export function readDeleteOptions(
  body: unknown,
  query: URLSearchParams,
): DeleteOptions & { readonly dryRun: boolean } {
  const grace = query.has("gracePeriodSeconds")
    ? Number(query.get("gracePeriodSeconds"))
    : numberAt(body, "gracePeriodSeconds");
  if (grace !== undefined && !Number.isInteger(grace))
    throw badRequest("gracePeriodSeconds must be an integer");
  const orphan = isObject(body) && body.orphanDependents === true ? "Orphan" : undefined;
  const policy = query.get("propagationPolicy") ?? textAt(body, "propagationPolicy") ?? orphan;
  if (policy !== undefined && policy !== "Background" && policy !== "Foreground" && policy !== "Orphan") {
    const allowed = ["Foreground", "Background", "Orphan", "nil"];
    refuseOptions("DeleteOptions", [notSupported("propagationPolicy", policy, allowed)]);
    throw badRequest(`propagationPolicy ${policy} is not known`);
  }
  checkType(body);
  const uid = textAt(body, "preconditions", "uid");
  const resourceVersion = textAt(body, "preconditions", "resourceVersion");
  const dryRun =
    query.get("dryRun") === "All" ||
    (isObject(body) && Array.isArray(body.dryRun) && body.dryRun.includes("All"));
  return {
    dryRun,
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
    ...(policy === undefined ? {} : { propagationPolicy: policy }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

/** The options as admission webhooks see them. */
function givenOptions(
  { gracePeriodSeconds, propagationPolicy, uid, resourceVersion }: DeleteOptions,
  dryRun: boolean,
): JsonObject {
  const preconditions = {
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
  return {
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
    ...(dryRun ? { dryRun: ["All"] } : {}),
  };
}

/** Throws 400 for a body that says it is something else. */
function checkType(body: unknown): void {
  const kind = textAt(body, "kind") ?? "";
  if (kind === "" || kind === "DeleteOptions") return;
  const version = textAt(body, "apiVersion") ?? "";
  throw badRequest(
    `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(version)} in scheme "pkg/runtime/scheme.go:111"`,
  );
}

/** `gone`: removed now. Otherwise it is marked and waits for finalizers or its grace period. */
export interface Deleted {
  readonly object: ApiObject;
  readonly gone: boolean;
}

/** Deletes an object as Kubernetes does: preconditions, admission, finalizers, grace period. */
export async function deleteObject(
  context: ApiContext,
  target: Target,
  asked: DeleteOptions,
  options: WriteOptions,
): Promise<Deleted> {
  const { resource } = target;
  const name = target.name ?? "";
  for (let attempt = 1; ; attempt++) {
    const stored = context.store.get(storeName(resource), target.namespace, name)?.object;
    if (stored === undefined) throw notFound(resource, name);
    checkPreconditions(target, stored, asked);
    if (resource.group === "" && resource.plural === "namespaces" && lasting.has(name))
      throw forbidden(resource, name, "this namespace may not be deleted");
    if (attempt === 1) {
      const admission = {
        operation: "DELETE" as const,
        target,
        user: options.user,
        dryRun: options.dryRun,
        options: givenOptions(asked, options.dryRun),
        object: undefined,
      };
      await context.admission.mutate({ ...admission, old: inVersion(stored, target) }, options.warnings);
      await context.admission.validate({ ...admission, old: inVersion(stored, target) }, options.warnings);
    }
    const { object, gone } = marked(stored, target, asked, context.now());
    if (options.dryRun) return { object, gone };
    if (
      !gone &&
      object.metadata.deletionTimestamp === stored.metadata.deletionTimestamp &&
      sameFinalizers(object, stored)
    ) {
      return { object: stored, gone };
    }
    const expected = { resourceVersion: stored.metadata.resourceVersion };
    try {
      if (gone) return { object: await context.store.remove(storeName(resource), object, expected), gone };
      return { object: (await context.store.put(storeName(resource), object, expected)).object, gone };
    } catch (error) {
      if (!(error instanceof StaleError)) throw error;
      if (attempt >= 6) throw conflict(resource, name, modified);
    }
  }
}

const lasting = new Set(["default", "kube-system", "kube-public"]);

function sameFinalizers(left: ApiObject, right: ApiObject): boolean {
  return (left.metadata.finalizers ?? []).join() === (right.metadata.finalizers ?? []).join();
}

function checkPreconditions({ resource }: Target, { metadata }: ApiObject, asked: DeleteOptions): void {
  const names = { group: resource.group, plural: resource.kind };
  if (asked.uid !== undefined && asked.uid !== metadata.uid) {
    throw conflict(
      names,
      metadata.name,
      `the UID in the precondition (${asked.uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  if (asked.resourceVersion !== undefined && asked.resourceVersion !== metadata.resourceVersion) {
    throw conflict(
      names,
      metadata.name,
      `the ResourceVersion in the precondition (${asked.resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
    );
  }
}

/** A copy with deletionTimestamp and the finalizers that the propagation policy asks for. */
function marked(stored: ApiObject, { resource }: Target, asked: DeleteOptions, now: number): Deleted {
  const object = cloneJson(stored);
  const { metadata } = object;
  const grace = resource.strategy.gracePeriod?.(object, asked.gracePeriodSeconds) ?? 0;
  const finalizers = new Set(metadata.finalizers);
  // Nothing on this machine mounts claims and volumes: there is nothing to protect them from.
  for (const name of ["pvc", "pv"]) finalizers.delete(`kubernetes.io/${name}-protection`);
  if (asked.propagationPolicy === "Orphan") finalizers.add("orphan");
  if (asked.propagationPolicy === "Foreground") finalizers.add("foregroundDeletion");
  if (resource.plural === "customresourcedefinitions")
    finalizers.add("customresourcecleanup.apiextensions.k8s.io");
  // What goes at once is answered as it was: only what waits is marked.
  const waits = finalizers.size > 0 || grace > 0 || listAt(object, "spec", "finalizers").length > 0;
  if (!waits && metadata.deletionTimestamp === undefined && resource.strategy.gracePeriod === undefined) {
    delete metadata.finalizers;
    return { object, gone: true };
  }
  if (metadata.deletionTimestamp === undefined) {
    metadata.deletionTimestamp = timestamp(now + grace * 1000);
    if (resource.plural !== "namespaces" || resource.group !== "")
      metadata.deletionGracePeriodSeconds = grace;
    if (resource.strategy.countsGeneration !== false) metadata.generation = (metadata.generation ?? 0) + 1;
  } else if (grace < (metadata.deletionGracePeriodSeconds ?? 0)) {
    // A second deletion may only shorten the wait.
    metadata.deletionTimestamp = timestamp(
      Date.parse(metadata.deletionTimestamp) - ((metadata.deletionGracePeriodSeconds ?? 0) - grace) * 1000,
    );
    metadata.deletionGracePeriodSeconds = grace;
  }
  if (finalizers.size > 0) metadata.finalizers = [...finalizers];
  else delete metadata.finalizers;
  if (resource.plural === "namespaces" && resource.group === "" && isObject(object.status))
    object.status.phase = "Terminating";
  return { object, gone: mayGo(object) };
}
