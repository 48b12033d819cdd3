import {
  type MutatingWebhookConfiguration,
  MutatingWebhookConfigurationKind,
  type ValidatingWebhookConfiguration,
  ValidatingWebhookConfigurationKind,
} from "../../api/core.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import type { Client } from "../../kube/contract.ts";
import { isAlreadyExists, isConflict } from "../../kube/error.ts";
import { validatedKinds } from "./validate/object.ts";

export interface RegisterOptions {
  /** PEM: who signed the webhooks' certificate. */
  readonly caBundle: string;
  /** Where the API server reaches them: `https://host:port`, or a Service of the cluster. */
  readonly at:
    | { readonly url: string }
    | { readonly service: { readonly namespace: string; readonly name: string; readonly port: number } };
  /** The control plane's own, which never waits for itself. */
  readonly namespace: string;
  /** Default `default`. */
  readonly revision?: string;
}

const injectorName = "istio-sidecar-injector";
const validatorName = "fairlead-validator";
const maxAttempts = 5;

/** Tells the API server of the webhooks: writes both configurations, or puts them right. */
export async function registerAdmission(client: Client, options: RegisterOptions): Promise<void> {
  await write(client, MutatingWebhookConfigurationKind, injectorConfiguration(options));
  await write(client, ValidatingWebhookConfigurationKind, validatorConfiguration(options));
}

async function write<T extends KubeObject>(client: Client, kind: Kind<T>, object: T): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const current = await client.get(kind, undefined, object.metadata.name);
      if (!current) {
        await client.create(kind, object);
        return;
      }
      const { resourceVersion } = current.metadata;
      await client.replace(kind, {
        ...object,
        metadata: { ...object.metadata, ...(resourceVersion && { resourceVersion }) },
      });
      return;
    } catch (error) {
      // another replica wrote at the same time
      if (attempt === maxAttempts || !(isAlreadyExists(error) || isConflict(error))) throw error;
    }
  }
}

function clientConfig(
  { at, caBundle }: RegisterOptions,
  path: string,
): MutatingWebhookConfigurationWebhook["clientConfig"] {
  const ca = { caBundle: Buffer.from(caBundle).toString("base64") };
  return "url" in at ? { ...ca, url: `${at.url}${path}` } : { ...ca, service: { ...at.service, path } };
}

type MutatingWebhookConfigurationWebhook = NonNullable<MutatingWebhookConfiguration["webhooks"]>[number];
type Selector = NonNullable<MutatingWebhookConfigurationWebhook["namespaceSelector"]>;
type Requirement = NonNullable<Selector["matchExpressions"]>[number];

const absent = (key: string): Requirement => ({ key, operator: "DoesNotExist" });
const oneOf = (key: string, ...values: string[]): Requirement => ({ key, operator: "In", values });
const noneOf = (key: string, ...values: string[]): Requirement => ({ key, operator: "NotIn", values });

const injection = "istio-injection";
const revisionKey = "istio.io/rev";
const injectKey = "sidecar.istio.io/inject";

/**
 * Istio's four entries: by the namespace's revision, by the pod's, by `istio-injection: enabled`, and by the pod's
 * label alone. A pod of a meshed namespace without its sidecar would break STRICT mTLS, so failure refuses it.
 */
export function injectorConfiguration(options: RegisterOptions): MutatingWebhookConfiguration {
  const { namespace, revision = "default" } = options;
  const notOurs = noneOf(
    "kubernetes.io/metadata.name",
    namespace,
    "kube-system",
    "kube-public",
    "kube-node-lease",
  );
  const entry = (
    name: string,
    namespaceRules: Requirement[],
    podRules: Requirement[],
  ): MutatingWebhookConfigurationWebhook => ({
    name: `${name}.sidecar-injector.istio.io`,
    admissionReviewVersions: ["v1"],
    clientConfig: clientConfig(options, "/inject"),
    failurePolicy: "Fail",
    sideEffects: "None",
    reinvocationPolicy: "Never",
    timeoutSeconds: 10,
    rules: [
      { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"], scope: "*" },
    ],
    namespaceSelector: { matchExpressions: [notOurs, ...namespaceRules] },
    objectSelector: { matchExpressions: podRules },
  });
  const notRefused = noneOf(injectKey, "false");
  const webhooks = [
    entry("rev.namespace", [oneOf(revisionKey, revision), absent(injection)], [notRefused]),
    entry("rev.object", [absent(revisionKey), absent(injection)], [notRefused, oneOf(revisionKey, revision)]),
  ];
  if (revision === "default") {
    webhooks.push(
      entry("namespace", [oneOf(injection, "enabled")], [notRefused]),
      entry(
        "object",
        [absent(injection), absent(revisionKey)],
        [oneOf(injectKey, "true"), absent(revisionKey)],
      ),
    );
  }
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: {
      name: revision === "default" ? injectorName : `${injectorName}-${revision}`,
      labels: { app: "sidecar-injector", "istio.io/rev": revision },
    },
    webhooks,
  };
}

/**
 * Every kind that is validated. Failure lets an object pass: a rollback writes to a route, and must never wait for a
 * webhook; what is wrong in an object is found again when it is read.
 */
export function validatorConfiguration(options: RegisterOptions): ValidatingWebhookConfiguration {
  const groups = Map.groupBy(validatedKinds, ({ group }) => group);
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    metadata: { name: validatorName, labels: { app: "fairlead" } },
    webhooks: [
      {
        name: "validate.fairlead.dev",
        admissionReviewVersions: ["v1"],
        clientConfig: clientConfig(options, "/validate"),
        failurePolicy: "Ignore",
        sideEffects: "None",
        timeoutSeconds: 5,
        rules: [...groups].map(([group, kinds]) => ({
          apiGroups: [group],
          apiVersions: ["*"],
          operations: ["CREATE", "UPDATE"],
          resources: kinds.map(({ plural }) => plural),
          scope: "*",
        })),
        namespaceSelector: {
          matchExpressions: [
            noneOf("kubernetes.io/metadata.name", "kube-system", "kube-public", "kube-node-lease"),
          ],
        },
      },
    ],
  };
}
