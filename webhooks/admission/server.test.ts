import { X509Certificate } from "node:crypto";
import { request } from "node:https";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KubeObject } from "../../api/resource.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { createRoot, readAuthority } from "../../mesh/ca/authority.ts";
import { serveOwnCertificate } from "../../mesh/ca/server-credentials.ts";
import { injectionConfig } from "./inject/config.ts";
import { injectorConfiguration, validatorConfiguration } from "./register.ts";
import { serveAdmission } from "./server.ts";
import { validate } from "./validate/review.ts";

const authority = readAuthority(createRoot("cluster.local", Date.now()));
const serving = serveOwnCertificate({
  authority: () => authority,
  names: { dns: ["istiod.istio-system.svc"], ips: ["127.0.0.1"] },
  clock: systemClock,
  logger: silent,
});
let server: Awaited<ReturnType<typeof serveAdmission>>;

beforeAll(async () => {
  server = await serveAdmission({
    host: "127.0.0.1",
    port: 0,
    certificate: serving.current,
    injection: injectionConfig("0.1.0", { discoveryAddress: "127.0.0.1:15012" }),
    namespaceLabels: () => ({ "istio-injection": "enabled" }),
    namespaceAnnotations: () => ({}),
    validate: (review) => validate(review, () => []),
    logger: silent,
  });
});

afterAll(async () => {
  serving.close();
  await server.close();
});

interface Response {
  readonly uid: string;
  readonly allowed: boolean;
  readonly patchType?: string;
  readonly patch?: string;
  readonly status?: { readonly message: string };
}

function post(path: string, body: string): Promise<{ status: number; response: Response }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: "127.0.0.1", port: server.port, path, method: "POST", ca: authority.rootPem, agent: false },
      (answer) => {
        let text = "";
        answer.on("data", (chunk: Buffer) => (text += chunk.toString()));
        answer.on("end", () => {
          const parsed = JSON.parse(text) as { response: Response };
          resolve({ status: answer.statusCode ?? 0, response: parsed.response });
        });
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

function review(object: KubeObject & Record<string, unknown>, operation = "CREATE"): string {
  const requestBody = { uid: "u-1", operation, namespace: "shop", object };
  return JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: requestBody });
}

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p" },
  spec: { containers: [{ name: "c", image: "i" }] },
};

describe("the webhooks' server", () => {
  test("injects under a certificate that the mesh's root signed", async () => {
    const { response } = await post("/inject", review(pod));
    expect(response).toMatchObject({ uid: "u-1", allowed: true, patchType: "JSONPatch" });
    const operations = JSON.parse(Buffer.from(response.patch ?? "", "base64").toString()) as {
      path: string;
    }[];
    expect(operations.map(({ path }) => path)).toContain("/spec/initContainers");
    expect(new X509Certificate(serving.current().cert).checkHost("istiod.istio-system.svc")).toBeDefined();
  });

  test("leaves updates and other kinds alone", async () => {
    expect((await post("/inject", review(pod, "UPDATE"))).response).toEqual({ uid: "u-1", allowed: true });
    const service = { apiVersion: "v1", kind: "Service", metadata: { name: "s" } };
    expect((await post("/inject", review(service))).response).toEqual({ uid: "u-1", allowed: true });
  });

  test("refuses with a message that says what to do", async () => {
    const own = { ...pod, spec: { containers: [{ name: "istio-proxy", image: "i" }] } };
    const { response } = await post("/inject", review(own));
    expect(response.allowed).toBe(false);
    expect(response.status?.message).toContain("rename it");
  });

  test("validates", async () => {
    const canary = {
      apiVersion: "flagger.app/v1beta1",
      kind: "Canary",
      metadata: { name: "c" },
      spec: { nonsense: 1 },
    };
    const { response } = await post("/validate", review(canary));
    expect(response.allowed).toBe(false);
    expect(response.status?.message).toContain("targetRef");
  });

  test.for<[string, string, number]>([
    ["/inject", "{", 400],
    ["/inject", "null", 400],
    ["/inject", '{"apiVersion":"admission.k8s.io/v1beta1"}', 400],
    ["/other", "{}", 404],
    ["/inject", " ".repeat(9 * 1024 * 1024), 413],
  ])("answers nonsense on %s in kind", async ([path, body, status]) => {
    const answer = await post(path, body).catch(() => ({ status: 413 }));
    expect(answer.status).toBe(status);
    expect((await post("/inject", review(pod))).status).toBe(200);
  });
});

test("the configurations name every validated kind, and never hold up a rollback", () => {
  const options = {
    caBundle: authority.rootPem,
    at: { url: "https://127.77.0.1:15017" },
    namespace: "istio-system",
  };
  const [validator] = validatorConfiguration(options).webhooks ?? [];
  expect(validator?.failurePolicy).toBe("Ignore");
  expect(validator?.rules?.flatMap(({ resources = [] }) => resources)).toContain("virtualservices");
  const injectors = injectorConfiguration(options).webhooks ?? [];
  expect(injectors).toHaveLength(4);
  for (const { namespaceSelector } of injectors) {
    expect(namespaceSelector?.matchExpressions?.[0]).toMatchObject({
      operator: "NotIn",
      values: expect.arrayContaining(["istio-system"]),
    });
  }
});
