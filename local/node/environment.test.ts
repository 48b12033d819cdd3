import { expect, test } from "vitest";
import type { ConfigMap, Pod, Secret } from "../../api/core.ts";
import { applicationAddress, nextAddress } from "./address.ts";
import { baseEnvironment } from "./base-environment.ts";
import type { Container } from "./container.ts";
import { buildEnvironment } from "./environment.ts";
import { expand } from "./expansion.ts";

const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { namespace: "shop", name: "web-1", uid: "u", labels: { app: "web", "a/b": "c" } },
  spec: { nodeName: "n", containers: [] },
};
const configMap: ConfigMap = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "cfg" },
  data: { COLOR: "red" },
};
const secret: Secret = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "key" },
  data: { PASS: "aGk=" },
};

function build(container: Partial<Container>): Record<string, string> {
  const lookup = {
    configMap: (name: string) => (name === "cfg" ? configMap : undefined),
    secret: (name: string) => (name === "key" ? secret : undefined),
    claim: () => undefined,
  };
  const place = { podIp: "127.77.1.2", hostIp: "127.77.0.1" };
  const input = {
    pod,
    container: { name: "c", ...container },
    place,
    lookup,
    base: new Map([["HOST", "127.77.1.2"]]),
  };
  return Object.fromEntries(buildEnvironment(input));
}

test("variables come from values, fields, ConfigMaps and Secrets, and see what stands before them", () => {
  expect(
    build({
      envFrom: [{ prefix: "X_", configMapRef: { name: "cfg" } }, { secretRef: { name: "key" } }],
      env: [
        { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
        { name: "LABEL", valueFrom: { fieldRef: { fieldPath: "metadata.labels['a/b']" } } },
        { name: "URL", value: "http://$(IP):$(PORT)/$(X_COLOR)/$$(IP)" },
        { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "1m" } } },
        { name: "NONE", valueFrom: { configMapKeyRef: { name: "no", key: "x", optional: true } } },
      ],
      resources: { limits: { cpu: "1500m" } },
    }),
  ).toEqual({
    HOST: "127.77.1.2",
    X_COLOR: "red",
    PASS: "hi",
    IP: "127.77.1.2",
    LABEL: "c",
    URL: "http://127.77.1.2:$(PORT)/red/$(IP)",
    CPU: "1500",
  });
});

test("what is missing is named in the kubelet's words", () => {
  expect(() => build({ envFrom: [{ configMapRef: { name: "no" } }] })).toThrow('configmap "no" not found');
  const key = { configMapKeyRef: { name: "cfg", key: "SIZE" } };
  expect(() => build({ env: [{ name: "S", valueFrom: key }] })).toThrow(
    "couldn't find key SIZE in configmap cfg",
  );
});

test("a dollar doubled is a dollar", () => {
  expect(expand("$(A)-$$(A)-$(B)-$", new Map([["A", "1"]]))).toBe("1-$(A)-$(B)-$");
});

test("the sidecar takes the pod's address, the application the one behind it", () => {
  const meshed = {
    ...pod,
    spec: { containers: [{ name: "app" }], initContainers: [{ name: "istio-proxy" }] },
  };
  const host = (name: string, of: Pod) =>
    baseEnvironment({
      pod: of,
      container: { name },
      podIp: "127.77.3.4",
      networkMode: "loopback",
      apiServer: new URL("https://127.77.0.1:6443"),
      proxyImage: "p",
      envoy: "/envoy",
    });
  expect(host("app", meshed).get("HOST")).toBe("127.77.131.4");
  expect(host("app", meshed).has("ENVOY_BIN")).toBe(false);
  expect(host("istio-proxy", meshed).get("HOST")).toBe("127.77.3.4");
  expect(host("istio-proxy", meshed).get("FAIRLEAD_APP_ADDRESS")).toBe(applicationAddress("127.77.3.4"));
  expect(host("istio-proxy", meshed).get("ENVOY_BIN")).toBe("/envoy");
  expect(host("app", pod).get("HOST")).toBe("127.77.3.4");
});

test("an address is used again only after all others", () => {
  expect(nextAddress("127.77", new Set(), undefined)).toBe("127.77.1.1");
  expect(nextAddress("127.77", new Set(["127.77.1.3"]), "127.77.1.2")).toBe("127.77.1.4");
  expect(nextAddress("127.77", new Set(), "127.77.1.254")).toBe("127.77.2.1");
  expect(nextAddress("127.77", new Set(["127.77.1.1"]), "127.77.127.254")).toBe("127.77.1.2");
});
