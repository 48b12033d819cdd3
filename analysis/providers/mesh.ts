import type { Clock } from "../../lib/clock.ts";
import { answerApi } from "../promql/api.ts";
import type { SeriesSource } from "../promql/value.ts";
import { readPrometheusAnswer } from "./prometheus-answer.ts";
import type { Provider } from "./types.ts";

/** For messages. */
export const meshName = "the mesh's own signals";

/** What the mesh's own proxies report, asked in PromQL: for queries that name no Prometheus. */
export function createMeshProvider(series: SeriesSource, clock: Clock): Provider {
  return {
    name: meshName,
    async query(query) {
      const answer = await answerApi("/api/v1/query", new URLSearchParams({ query }), series, clock.now());
      return answer === undefined
        ? { kind: "error", reason: "it has no such query" }
        : readPrometheusAnswer(answer);
    },
  };
}
