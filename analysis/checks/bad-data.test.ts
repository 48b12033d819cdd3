/** What providers say on a bad day, over real HTTP: never a pass, a crash or a rollback by itself. */
import { createServer, type ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { readCanary } from "../../api/canary/read.ts";
import { createAddressGuard } from "../../lib/address-guard.ts";
import { systemClock } from "../../lib/clock.ts";
import { advance } from "../judge/advance.ts";
import type { Advice, Progress } from "../judge/types.ts";
import { createProviders } from "../providers/providers.ts";
import { createRecent } from "../series/recent.ts";
import { readRunSettings } from "../settings.ts";
import { measure } from "./measure.ts";
import type { Check } from "./types.ts";

const seconds = (): number => Date.now() / 1000;
const vector = (...values: readonly unknown[]): string =>
  JSON.stringify({
    status: "success",
    data: { resultType: "vector", result: values.map((value) => ({ metric: {}, value })) },
  });

type Answerer = (response: ServerResponse) => void;
const say =
  (text: () => string, status = 200): Answerer =>
  (response) =>
    void response.writeHead(status).end(text());

const bad: readonly (readonly [title: string, answer: Answerer, cause: Check["cause"]])[] = [
  ["NaN", say(() => vector([seconds(), "NaN"])), "no-data"],
  ["+Inf", say(() => vector([seconds(), "+Inf"])), "no-data"],
  ["-Inf", say(() => vector([seconds(), "-Inf"])), "no-data"],
  ["an empty result", say(() => vector()), "no-data"],
  ["several series", say(() => vector([seconds(), "100"], [seconds(), "100"])), "no-data"],
  ["a stale sample", say(() => vector([seconds() - 3600, "100"])), "no-data"],
  ["a sample without a time", say(() => vector(["x", "100"])), "no-data"],
  ["an HTML page", say(() => "<html><body>sign in</body></html>"), "provider-error"],
  ["an HTML error", say(() => "<h1>Bad Gateway</h1>", 502), "provider-error"],
  ["half an answer", say(() => vector([seconds(), "100"]).slice(0, 40)), "provider-error"],
  ["no body", say(() => "", 204), "provider-error"],
  ["a redirect", (response) => void response.writeHead(302, { location: "/" }).end(), "provider-error"],
  ["a reset connection", (response) => void response.socket?.destroy(), "provider-error"],
  // Flagger's five seconds are shortened here; a 30 s answer is one that never comes.
  ["an answer that takes 30 s", () => undefined, "provider-error"],
  ["an endless answer", (response) => pour(response), "provider-error"],
];

function pour(response: ServerResponse): void {
  if (response.destroyed) return;
  response.write(" ".repeat(65_536), () => pour(response));
}

async function serve(answer: Answerer) {
  const server = createServer((_, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    address: `http://127.0.0.1:${address.port}`,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A Canary with one metric of a template at `address`. */
function settingsOf(address: string, analysis: object = {}) {
  const { value, problems } = readCanary({
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      analysis: {
        interval: "10s",
        threshold: 3,
        stepWeight: 10,
        maxWeight: 50,
        // Zero passes it, and so would anything that is no number where `NaN > 5` were asked.
        metrics: [{ name: "errors", templateRef: { name: "errors" }, thresholdRange: { max: 500 } }],
        ...analysis,
      },
    },
  });
  if (value === undefined) throw new Error(JSON.stringify(problems));
  return readRunSettings(value, {
    providers: createProviders({ guard: createAddressGuard({ loopback: true }), clock: systemClock }),
    template: () => ({
      apiVersion: "flagger.app/v1beta1",
      kind: "MetricTemplate",
      metadata: { name: "errors", namespace: "demo" },
      spec: { provider: { type: "prometheus", address, timeoutSeconds: 1 }, query: "sum(errors)" },
    }),
    secret: () => Promise.resolve(new Map()),
  }).settings;
}

/** Ticks until the run ends or ten are done, one answer each. */
async function tick(settings: ReturnType<typeof settingsOf>, ticks: number): Promise<Advice[]> {
  const advices: Advice[] = [];
  let progress: Progress = { weight: 10, failedChecks: 0 };
  const checks = await measure(
    settings.metrics,
    createRecent(60_000, 19),
    Date.now(),
    AbortSignal.timeout(10_000),
  );
  for (let now = 0; now < ticks; now++) {
    const advice = advance({
      judgement: undefined,
      checks,
      settings: settings.advance,
      progress,
      now: now * 10_000,
    });
    advices.push(advice);
    progress = { ...progress, failedChecks: advice.failedChecks };
    if (advice.kind === "roll-back") break;
  }
  return advices;
}

test.concurrent.for(bad)(
  "%s is inconclusive: it holds, and never fails or passes",
  async ([, answer, cause]) => {
    using server = await serve(answer);
    const settings = settingsOf(server.address);
    const [check] = await measure(
      settings.metrics,
      createRecent(60_000, 19),
      Date.now(),
      AbortSignal.timeout(10_000),
    );
    expect(check).toMatchObject({ kind: "inconclusive", cause });
    const advices = await tick(settings, 10);
    expect(advices.map(({ kind }) => kind)).toEqual(Array.from({ length: 10 }, () => "hold"));
    expect(advices.at(-1)?.failedChecks).toBe(0);
  },
);

test.concurrent.for(bad)("with `fail`, %s is exactly Flagger's failed check", async ([, answer]) => {
  using server = await serve(answer);
  const advices = await tick(settingsOf(server.address, { noData: "fail", providerErrors: "fail" }), 10);
  // threshold 3: two failed checks hold, the third rolls back.
  expect(advices.map(({ kind, failedChecks }) => [kind, failedChecks])).toEqual([
    ["hold", 1],
    ["hold", 2],
    ["roll-back", 3],
  ]);
});

test("a slow provider delays no other one", async () => {
  using slow = await serve(() => undefined);
  using quick = await serve(say(() => vector([seconds(), "1"])));
  const providers = createProviders({ guard: createAddressGuard({ loopback: true }), clock: systemClock });
  const stop = new AbortController();
  const hanging = Array.from({ length: 50 }, () =>
    providers.prometheus({ address: slow.address }, "").query("up", stop.signal),
  );
  const began = performance.now();
  expect(await providers.prometheus({ address: quick.address }, "").query("up")).toEqual({
    kind: "value",
    value: 1,
  });
  expect(performance.now() - began).toBeLessThan(900);
  stop.abort();
  expect((await Promise.all(hanging)).every(({ kind }) => kind === "error")).toBe(true);
});
