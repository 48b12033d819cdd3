import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import fastJsonPatch from "fast-json-patch";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { Pod } from "../../../api/core.ts";
import { type InjectionConfig, injectionConfig } from "./config.ts";
import { inject } from "./inject.ts";
import type { Container } from "./pod.ts";

const config = injectionConfig("0.1.0", {
  discoveryAddress: "127.77.0.1:15012",
  noProxy: ["127.77.0.1"],
  allowedImages: ["registry/proxy:debug"],
});
const enabled = { "istio-injection": "enabled" };

function patched(
  pod: Pod,
  labels: Record<string, string> | undefined = enabled,
  namespace = "shop",
  installation = config,
): { pod: Pod; warnings: readonly string[] } {
  const result = inject(pod, namespace, labels, installation);
  if (result.kind !== "patch") throw new Error(result.kind === "refused" ? result.message : "unchanged");
  const operations = JSON.parse(JSON.stringify(result.operations)) as fastJsonPatch.Operation[];
  const copy = JSON.parse(JSON.stringify(pod)) as Pod;
  return { pod: fastJsonPatch.applyPatch(copy, operations, true).newDocument, warnings: result.warnings };
}

function podWith(metadata: Partial<Pod["metadata"]> = {}, spec: Partial<NonNullable<Pod["spec"]>> = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", ...metadata },
    spec: { containers: [{ name: "web", image: "web" }], ...spec },
  };
}

function sidecarOf({ spec }: Pod): Container {
  const found = spec?.initContainers?.find(({ name }) => name === "istio-proxy");
  if (!found) throw new Error("no sidecar");
  return found;
}

describe("fairlead.dev/scope", () => {
  const scoped = (own: Record<string, string>, ofNamespace: Record<string, string>) => {
    const result = inject(podWith({ annotations: own }), "shop", enabled, config, ofNamespace);
    if (result.kind !== "patch") return result;
    const text = JSON.stringify(result.operations);
    return [text.includes('{"name":"ISTIO_META_FAIRLEAD_SCOPE","value":"learned"}'), result.warnings];
  };
  const scope = (value: string) => ({ "fairlead.dev/scope": value });

  test("of the namespace tells its sidecars to learn, and the pod's own counts before it", () => {
    expect(scoped({}, {})).toEqual([false, []]);
    expect(scoped({}, scope("learned"))).toEqual([true, []]);
    expect(scoped(scope("all"), scope("learned"))).toEqual([false, []]);
    expect(scoped(scope("learned"), {})).toEqual([true, []]);
  });

  test("of another value is refused on a pod, and warned of on a namespace", () => {
    expect(scoped(scope("less"), {})).toEqual({
      kind: "refused",
      message: "annotation `fairlead.dev/scope` is `less`, which is not all or learned",
    });
    expect(scoped({}, scope("less"))).toEqual([
      false,
      [
        "annotation `fairlead.dev/scope` of the namespace is `less`, which is not all or learned: this sidecar gets all",
      ],
    ]);
  });
});

describe("goldens", () => {
  test.for(globSync(`${import.meta.dirname}/testdata/*.in.yaml`))("%s", async (input) => {
    const {
      pod,
      namespaceLabels,
      interception = "NONE",
    } = parse(readFileSync(input, "utf8")) as {
      pod: Pod;
      namespaceLabels: Record<string, string>;
      interception?: InjectionConfig["interception"];
    };
    const installation = { ...config, interception };
    const result = patched(pod, namespaceLabels, "shop", installation);
    await expect(stringify(result, { aliasDuplicateObjects: false })).toMatchFileSnapshot(
      resolve(input.replace(".in.", ".out.")),
    );
    expect(inject(result.pod, "shop", namespaceLabels, installation)).toEqual({ kind: "unchanged" });
  });
});

describe("who gets a sidecar", () => {
  type Row = [
    namespaceLabels: Record<string, string> | undefined,
    podLabels: Record<string, string>,
    injected: boolean,
  ];
  const inject1 = { "sidecar.istio.io/inject": "true" };
  const inject0 = { "sidecar.istio.io/inject": "false" };
  test.for<Row>([
    [enabled, {}, true],
    [enabled, inject1, true],
    [enabled, inject0, false],
    [{ "istio-injection": "disabled" }, inject1, false],
    [{}, {}, false],
    [{}, inject1, true],
    [{ "istio.io/rev": "default" }, {}, true],
    [{ "istio.io/rev": "canary" }, {}, false],
    [{ "istio.io/rev": "canary", "istio-injection": "enabled" }, {}, true],
    [{}, { "istio.io/rev": "default" }, true],
    [{}, { "istio.io/rev": "canary", ...inject1 }, false],
    [undefined, {}, true],
    [undefined, inject0, false],
  ])("namespace %j, pod %j: %s", ([namespaceLabels, labels, injected]) => {
    const { kind } = inject(podWith({ labels }), "shop", namespaceLabels, config);
    expect(kind).toBe(injected ? "patch" : "unchanged");
  });

  test("not a pod on the host's network, not the system's, not the control plane's", () => {
    expect(inject(podWith({}, { hostNetwork: true }), "shop", enabled, config).kind).toBe("unchanged");
    for (const namespace of ["kube-system", "kube-public", "istio-system"]) {
      expect(inject(podWith(), namespace, enabled, config).kind).toBe("unchanged");
    }
    const annotated = podWith({ annotations: { "sidecar.istio.io/inject": "no" } });
    expect(inject(annotated, "shop", enabled, config).kind).toBe("unchanged");
  });
});

describe("a pod's author", () => {
  test("cannot inject YAML through an annotation (S48)", () => {
    const annotations = { "sidecar.istio.io/proxyImage": 'x"\n  privileged: true' };
    expect(inject(podWith({ annotations }), "shop", enabled, config)).toEqual({
      kind: "refused",
      message: expect.stringMatching(
        /^annotation `sidecar\.istio\.io\/proxyImage` is `[^\n]*`, which is not an image that the installation allows$/,
      ),
    });
  });

  test("may name an allowed image", () => {
    const annotations = { "sidecar.istio.io/proxyImage": "registry/proxy:debug" };
    expect(sidecarOf(patched(podWith({ annotations })).pod).image).toBe("registry/proxy:debug");
  });

  test.for<[string, string]>([
    ["sidecar.istio.io/proxyCPU", "1; rm -rf /"],
    ["sidecar.istio.io/proxyMemoryLimit", "-1"],
    ["sidecar.istio.io/logLevel", "debug --config-yaml x"],
    ["readiness.status.sidecar.istio.io/periodSeconds", "1e9"],
    ["proxy.istio.io/config", "concurrency: many"],
    ["proxy.istio.io/config", "- a"],
    ["proxy.istio.io/config", "a: &a [1]\nb: *a"],
  ])("is told what is wrong with %s: %j", ([name, value]) => {
    const result = inject(podWith({ annotations: { [name]: value } }), "shop", enabled, config);
    expect(result).toEqual({ kind: "refused", message: expect.stringContaining(name) });
  });

  test("cannot change the sidecar's privileges, volumes or identity by any annotation (S49)", () => {
    const plain = sidecarOf(patched(podWith()).pod);
    const name = fc.constantFrom(
      "sidecar.istio.io/userVolume",
      "sidecar.istio.io/userVolumeMount",
      "sidecar.istio.io/bootstrapOverride",
      "sidecar.istio.io/discoveryAddress",
      "sidecar.istio.io/interceptionMode",
      "proxy.istio.io/overrides",
      "inject.istio.io/templates",
      "traffic.sidecar.istio.io/excludeInboundPorts",
    );
    fc.assert(
      fc.property(fc.dictionary(name, fc.string()), (annotations) => {
        const { pod } = patched(podWith({ annotations }));
        expect(sidecarOf(pod)).toEqual(plain);
        expect(pod.spec?.volumes).toHaveLength(4);
        expect(pod.spec?.containers).toHaveLength(1);
      }),
      { numRuns: 50 },
    );
  });

  test("cannot bring a sidecar of their own (S49)", () => {
    const containers = [{ name: "istio-proxy", image: "evil", securityContext: { privileged: true } }];
    const result = inject(podWith({}, { containers }), "shop", enabled, config);
    expect(result).toEqual({ kind: "refused", message: expect.stringContaining("`istio-proxy`") });
  });

  test("cannot put another volume where the token is", () => {
    const volumes = [{ name: "istio-token", hostPath: { path: "/etc" } }];
    const result = inject(podWith({}, { volumes }), "shop", enabled, config);
    expect(result).toEqual({ kind: "refused", message: expect.stringContaining("`istio-token`") });
  });
});

describe("where iptables redirect", () => {
  const redirecting = { ...config, interception: "REDIRECT" as const };
  const flagsOf = (annotations: Record<string, string>): readonly string[] => {
    const { pod } = patched(podWith({ annotations }), enabled, "shop", redirecting);
    const [init] = pod.spec?.initContainers ?? [];
    expect(init?.name).toBe("istio-init");
    return init?.args?.slice(8) ?? [];
  };

  test("everything goes through the sidecar but the sidecar's own ports", () => {
    expect(flagsOf({})).toEqual(["-u", "1337", "-i", "*", "-x", "", "-b", "*", "-d", "15090,15021,15020"]);
  });

  test("an empty annotation means none", () => {
    const prefix = "traffic.sidecar.istio.io/";
    const flags = flagsOf({ [`${prefix}includeInboundPorts`]: "", [`${prefix}includeOutboundIPRanges`]: "" });
    expect(flags).toEqual(["-u", "1337", "-i", "", "-x", "", "-b", "", "-d", "15090,15021,15020"]);
  });

  test("where it has no user of its own, its connections are known by a mark", () => {
    const { pod } = patched(podWith(), enabled, "shop", { ...redirecting, socketMark: 1337 });
    const [init] = pod.spec?.initContainers ?? [];
    expect(init?.args?.join(" ")).toContain("--proxy-mark 1337 -i * -x 127.77.0.1/32 -b *");
    expect(sidecarOf(pod).env).toContainEqual({ name: "FAIRLEAD_SOCKET_MARK", value: "1337" });
  });

  test("applications need no proxy variables", () => {
    const { pod } = patched(podWith(), enabled, "shop", redirecting);
    expect(pod.spec?.containers[0]?.env).toBeUndefined();
    expect(sidecarOf(pod).env).toContainEqual({ name: "ISTIO_META_INTERCEPTION_MODE", value: "REDIRECT" });
  });

  test.for<[string, string]>([
    ["includeOutboundIPRanges", "10.0.0.0/40"],
    ["excludeOutboundIPRanges", "*"],
    ["includeInboundPorts", "http"],
    ["excludeInboundPorts", "70000"],
    ["excludeInterfaces", "eth0 -j ACCEPT"],
    ["kubevirtInterfaces", "-x"],
  ])("%s: %j is refused", ([name, value]) => {
    const annotations = { [`traffic.sidecar.istio.io/${name}`]: value };
    const result = inject(podWith({ annotations }), "shop", enabled, redirecting);
    expect(result).toEqual({ kind: "refused", message: expect.stringContaining(name) });
  });

  test("nobody may run as the sidecar's user or group, whose connections pass by", () => {
    const containers = [{ name: "web", image: "web", securityContext: { runAsUser: 1337 } }];
    for (const spec of [
      { containers },
      { securityContext: { runAsUser: 1337 } },
      { securityContext: { runAsGroup: 1337 } },
    ]) {
      const result = inject(podWith({}, spec), "shop", enabled, redirecting);
      expect(result).toEqual({
        kind: "refused",
        message: expect.stringContaining("runs as user or group 1337"),
      });
    }
  });
});
