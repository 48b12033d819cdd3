import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { envoyBinary, envoyMissing } from "../../test/support/envoy.ts";
import { buildBootstrap } from "./bootstrap.ts";
import { readAgentConfig } from "./config.ts";
import { readTelemetryBootstrap } from "./telemetry-bootstrap.ts";

const pods = {
  loopback: {
    POD_NAME: "cart-7d9-x1",
    POD_NAMESPACE: "shop",
    SERVICE_ACCOUNT: "cart",
    INSTANCE_IP: "127.77.1.9",
    PROXY_CONFIG: '{"discoveryAddress":"127.77.0.1:15012"}',
    ISTIO_META_INTERCEPTION_MODE: "NONE",
    ISTIO_META_HTTP_PROXY_PORT: "15080",
    ISTIO_META_WORKLOAD_NAME: "cart",
  },
  cluster: {
    POD_NAME: "cart-7d9-x1",
    POD_NAMESPACE: "shop",
    SERVICE_ACCOUNT: "cart",
    INSTANCE_IP: "10.1.2.3",
    ISTIO_META_WORKLOAD_NAME: "cart",
  },
};
const labels = () => 'app="cart"\nservice.istio.io/canonical-name="cart"\n';

describe.each(Object.entries(pods))("the bootstrap of a pod in the %s data path", (name, env) => {
  const bootstrap = buildBootstrap(
    readAgentConfig(env, [], labels),
    "/tmp/sds/socket",
    readTelemetryBootstrap(),
  );
  const text = `${JSON.stringify(bootstrap, null, 2)}\n`;

  test("is the golden", async () => {
    await expect(text).toMatchFileSnapshot(`testdata/bootstrap.${name}.json`);
  });

  test.skipIf(envoyMissing !== undefined)("is accepted by Envoy", () => {
    const folder = mkdtempSync(join(tmpdir(), "bootstrap-"));
    try {
      writeFileSync(join(folder, "b.json"), text);
      const words = execFileSync(envoyBinary, ["--mode", "validate", "-c", join(folder, "b.json")], {
        encoding: "utf8",
        stdio: "pipe",
      });
      expect(words).toContain("OK");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
