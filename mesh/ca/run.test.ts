import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { ChannelCredentials, Client as GrpcClient, Metadata, Server, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ConfigMapKind,
  NamespaceKind,
  PodKind,
  ReplicaSetKind,
  SecretKind,
  ServiceAccountKind,
} from "../../api/core.ts";
import {
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
} from "../../envoy/generated/istio/ca_pb.js";
import { createClient } from "../../kube/client.ts";
import type { Client, Informers } from "../../kube/contract.ts";
import { createInformers } from "../../kube/informer.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { startTestApiServer, type TestApiServer } from "../../local/testing/api-server.ts";
import { until } from "../../local/testing/until.ts";
import { writeCertificateRequest } from "./csr.ts";
import { rootConfigMap } from "./roots.ts";
import { type Ca, startCa } from "./run.ts";

const pair = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const csr = writeCertificateRequest(pair);
const template = {
  metadata: { labels: { app: "cart" } },
  spec: { containers: [{ name: "web", image: "web" }] },
};
let kubernetes: TestApiServer;
/** Of the mesh: on a real API server it may do what the Helm chart's roles allow. */
let own: Client;
let client: Client;
let informers: Informers;
let ca: Ca;
let server: Server;
let port = 0;

beforeAll(async () => {
  kubernetes = await startTestApiServer();
  client = createClient(kubernetes.connection);
  own = createClient(kubernetes.connectionOf("mesh"));
  informers = createInformers(own, silent);
  await client.create(NamespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
  ca = await start();
  server = new Server();
  server.addService(ca.service.definition, ca.service.implementation);
  port = await new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ca.serverCredentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  await client.create(ServiceAccountKind, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "cart", namespace: "shop" },
  });
  const replicaSet = await client.create(ReplicaSetKind, {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: "cart-abc", namespace: "shop" },
    spec: { replicas: 0, selector: { matchLabels: { app: "cart" } }, template },
  });
  const uid = replicaSet.metadata.uid ?? "";
  await client.create(PodKind, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "cart-abc-1",
      namespace: "shop",
      labels: { app: "cart", version: "v2", "pod-template-hash": "abc" },
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "ReplicaSet", name: "cart-abc", uid, controller: true },
      ],
    },
    spec: { serviceAccountName: "cart", containers: [{ name: "web", image: "web" }] },
  });
});

afterAll(async () => {
  server.forceShutdown();
  ca.close();
  informers.close();
  await client.close();
  await own.close();
  await kubernetes.close();
});

function start(): Promise<Ca> {
  return startCa({ client: own, informers, logger: silent, clock: systemClock, addresses: ["127.0.0.1"] });
}

/** A token as the kubelet asks for one. */
async function token(audience: string, pod?: { name: string; uid: string }): Promise<string> {
  const answer = await client.request<{ status: { token: string } }>(
    "POST",
    "/api/v1/namespaces/shop/serviceaccounts/cart/token",
    {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: {
        audiences: [audience],
        ...(pod ? { boundObjectRef: { apiVersion: "v1", kind: "Pod", ...pod } } : {}),
      },
    },
  );
  return answer.status.token;
}

async function podToken(audience = "istio-ca"): Promise<string> {
  const pod = await client.get(PodKind, "shop", "cart-abc-1");
  return token(audience, { name: "cart-abc-1", uid: pod?.metadata.uid ?? "" });
}

function ask(
  authorization: string | undefined,
  credentials = ChannelCredentials.createSsl(Buffer.from(ca.rootPem)),
): Promise<string[]> {
  const grpc = new GrpcClient(`127.0.0.1:${port}`, credentials);
  const metadata = new Metadata();
  if (authorization !== undefined) metadata.set("authorization", authorization);
  const { path, requestSerialize, responseDeserialize } = ca.service.definition.CreateCertificate;
  return new Promise<string[]>((resolve, reject) => {
    const message = create(IstioCertificateRequestSchema, { csr, validityDuration: 3600n });
    grpc.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      message,
      metadata,
      (error: ServiceError | null, answer?: IstioCertificateResponse) =>
        error ? reject(error) : resolve(answer?.certChain ?? []),
    );
  }).finally(() => grpc.close());
}

describe("the certificate authority on a Kubernetes API", () => {
  test("gives a pod its own identity and the facts of its Deployment", async () => {
    const [leaf = "", root] = await ask(`Bearer ${await podToken()}`);
    const certificate = new X509Certificate(leaf);
    expect(certificate.subjectAltName).toBe("URI:spiffe://cluster.local/ns/shop/sa/cart");
    expect(certificate.subject).toBe("O=shop\nOU=cart\nOU=v2\nCN=cart");
    expect(certificate.checkPrivateKey(pair.privateKey)).toBe(true);
    expect(certificate.verify(new X509Certificate(ca.rootPem).publicKey)).toBe(true);
    expect(root).toBe(ca.rootPem);
  });

  test("renews by the certificate that it gave, with the same facts", async () => {
    const [leaf = ""] = await ask(`Bearer ${await podToken()}`);
    const key = Buffer.from(pair.privateKey.export({ format: "pem", type: "pkcs8" }));
    const mutual = ChannelCredentials.createSsl(Buffer.from(ca.rootPem), key, Buffer.from(leaf));
    const [renewed = ""] = await ask(undefined, mutual);
    const certificate = new X509Certificate(renewed);
    expect(certificate.subjectAltName).toBe("URI:spiffe://cluster.local/ns/shop/sa/cart");
    expect(certificate.subject).toBe("O=shop\nOU=cart\nOU=v2\nCN=cart");
  });

  test("does not take a certificate of another root for an identity", async () => {
    const other = await import("./authority.ts");
    const { issueCertificate } = await import("./issue.ts");
    const stranger = other.readAuthority(other.createRoot("cluster.local", Date.now()));
    const identity = { trustDomain: "cluster.local", namespace: "kube-system", serviceAccount: "admin" };
    const [leaf = ""] = issueCertificate(stranger, { csr, identity, now: Date.now() });
    const key = Buffer.from(pair.privateKey.export({ format: "pem", type: "pkcs8" }));
    const forged = ChannelCredentials.createSsl(Buffer.from(ca.rootPem), key, Buffer.from(leaf));
    await expect(ask(undefined, forged)).rejects.toMatchObject({ code: 16 });
  });

  test("refuses who proves nothing, and never repeats a token", async () => {
    await expect(ask(undefined)).rejects.toMatchObject({ code: 16 });
    const refusal = await ask("Bearer canary-string").catch((error: ServiceError) => error);
    expect(refusal).toMatchObject({ code: 16 });
    expect(String(refusal)).not.toContain("canary-string");
    await expect(ask(`Bearer ${await podToken("vault")}`)).rejects.toMatchObject({ code: 16 });
  });

  test("gives a token that is bound to no pod an identity without facts", async () => {
    const [leaf = ""] = await ask(`Bearer ${await token("istio-ca")}`);
    expect(new X509Certificate(leaf).subject).toBe("O=shop");
  });

  test("keeps its root over a restart", async () => {
    const again = await start();
    again.close();
    expect(again.rootPem).toBe(ca.rootPem);
  });

  test("says what to do where the stored authority is broken, and makes no new one", async () => {
    const secret = await client.get(SecretKind, "istio-system", "istio-ca-secret");
    await client.patch(SecretKind, "istio-system", "istio-ca-secret", {
      kind: "merge",
      body: { data: { "ca-key.pem": Buffer.from("canary-string").toString("base64") } },
    });
    const message = await start().then(
      () => "",
      (error: Error) => error.message,
    );
    expect(message).toContain("repair or delete it");
    expect(message).not.toContain("canary-string");
    await client.patch(SecretKind, "istio-system", "istio-ca-secret", {
      kind: "merge",
      body: { data: secret?.data },
    });
  });

  test("puts the root into every namespace, new ones too, and back where it was changed", async () => {
    const rootIn = (namespace: string) =>
      client
        .get(ConfigMapKind, namespace, rootConfigMap)
        .then((found) => found?.data?.["root-cert.pem"] === ca.rootPem);
    expect(await rootIn("shop")).toBe(true);
    await client.create(NamespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name: "late" } });
    await until("the new namespace has it", () => rootIn("late"));
    await client.patch(ConfigMapKind, "shop", rootConfigMap, {
      kind: "merge",
      body: { data: { "root-cert.pem": "x" } },
    });
    await until("the changed one is put right", () => rootIn("shop"));
    await client.delete(ConfigMapKind, "late", rootConfigMap);
    await until("the deleted one is back", () => rootIn("late"));
  });

  test("makes certificates for the control plane's own parts", () => {
    const { cert } = ca.issueFor({ namespace: "istio-system", serviceAccount: "fairlead" });
    expect(new X509Certificate(cert).subjectAltName).toBe(
      "URI:spiffe://cluster.local/ns/istio-system/sa/fairlead",
    );
    const serving = new X509Certificate(ca.servingCertificate().cert);
    expect(serving.checkIP("127.0.0.1")).toBeDefined();
    expect(serving.checkHost("fairlead.istio-system.svc")).toBeDefined();
  });
});
