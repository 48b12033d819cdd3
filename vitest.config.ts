import { defineConfig } from "vitest/config";

/** The fast suites: tests beside the code and the layer table. The wider ones are in vitest.e2e.config.ts. */
export default defineConfig({
  test: {
    globalSetup: "test/support/fetch-envoy.ts",
    include: [
      "{lib,envoy,api,kube,policy,analysis,controller,mesh,webhooks,local,cli,bench}/**/*.test.ts",
      "test/*.test.ts",
    ],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
