import { defineConfig } from "vitest/config";

/** The wide suites: whole control planes, real Envoys, real kubectl, the demo. One at a time: they share two cores. */
export default defineConfig({
  test: {
    globalSetup: "test/support/fetch-envoy.ts",
    include: ["test/e2e/**/*.test.ts"],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
  },
});
