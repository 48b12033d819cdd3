import { defineConfig } from "vitest/config";

/** Suites of rooms that ask an API server: `npm test` runs them on the embedded one, this also on a real one. */
const onApiServer = [
  "controller/rollout.test.ts",
  "kube/apiserver.test.ts",
  "mesh/ca/run.test.ts",
  "mesh/debug/authorize.test.ts",
  "analysis/record/ring.test.ts",
];

/** The wide suites: whole control planes, real Envoys, real kubectl, the demo. One at a time: they share two cores. */
export default defineConfig({
  test: {
    globalSetup: "test/support/fetch-envoy.ts",
    include: ["test/e2e/**/*.test.ts", ...onApiServer],
    // A noisy machine gets a second try in CI, which says so; nowhere else.
    retry: process.env.CI ? 1 : 0,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
  },
});
