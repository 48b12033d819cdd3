import { describe, expect, test } from "vitest";
import { appAddressOf, readAgentConfig, readDownwardFile } from "./config.ts";

const env = {
  POD_NAME: "web-1",
  POD_NAMESPACE: "shop",
  INSTANCE_IP: "127.77.1.9",
  PROXY_CONFIG: '{"discoveryAddress":"127.77.0.1:15012","concurrency":2,"terminationDrainDuration":"1m30s"}',
  ISTIO_META_INTERCEPTION_MODE: "NONE",
  ISTIO_KUBE_APP_PROBERS: '{"/app-health/web/readyz":{"httpGet":{"port":8080}}}',
  FAIRLEAD_MOUNTS: '{"/var/run/secrets/tokens":"/pods/1/tok","/var/run/secrets":"/pods/1/all"}',
};
const nothing = () => undefined;

describe("the agent's configuration", () => {
  test("is what the injector wrote", () => {
    const config = readAgentConfig(env, [], nothing);
    expect(config).toMatchObject({
      appAddress: "127.77.129.9",
      loopback: true,
      discoveryAddress: "127.77.0.1:15012",
      caAddress: "127.77.0.1:15012",
      concurrency: 2,
      terminationDrain: 90_000,
      serviceAccount: "default",
      metadata: { INTERCEPTION_MODE: "NONE" },
    });
    expect(config.files).toEqual({
      token: "/pods/1/tok/istio-token",
      root: "/pods/1/all/istio/root-cert.pem",
      state: "/etc/istio/proxy",
    });
    expect(config.probes["/app-health/web/readyz"]).toEqual({ httpGet: { port: 8080 } });
  });

  test("gives flags the last word, and one worker where nobody says", () => {
    const flagged = readAgentConfig(
      env,
      ["--discovery-address", "a:1", "--concurrency=4", "--log-level", "debug"],
      nothing,
    );
    expect(flagged).toMatchObject({ discoveryAddress: "a:1", concurrency: 4, logLevel: "debug" });
    expect(readAgentConfig({ ...env, PROXY_CONFIG: "" }, [], nothing)).toMatchObject({
      discoveryAddress: "istiod.istio-system.svc:15012",
      concurrency: 1,
    });
  });

  test("names what is missing or broken", () => {
    expect(() => readAgentConfig({ ...env, POD_NAME: "" }, [], nothing)).toThrow(
      "variable `POD_NAME` is missing",
    );
    expect(() => readAgentConfig({ ...env, PROXY_CONFIG: "{" }, [], nothing)).toThrow(
      "`PROXY_CONFIG` is not a JSON object",
    );
  });
});

test.for<[string, string | undefined, string]>([
  ["127.77.1.9", "NONE", "127.77.129.9"],
  ["127.77.127.254", "NONE", "127.77.255.254"],
  ["10.1.2.3", "NONE", "10.1.2.3"],
  ["127.77.1.9", "REDIRECT", "127.77.1.9"],
  ["127.0.0.1", "NONE", "127.0.0.1"],
])("the application of pod %s in mode %s listens on %s", ([ip, mode, expected]) => {
  expect(appAddressOf(ip, mode)).toBe(expected);
});

test("labels are read as the downward API writes them", () => {
  const labels = readDownwardFile('app="web"\n__proto__="x"\nnote="two \\"words\\"\\nand a line"\nbroken\n');
  expect(Object.entries(labels)).toEqual([
    ["app", "web"],
    ["__proto__", "x"],
    ["note", 'two "words"\nand a line'],
  ]);
});
