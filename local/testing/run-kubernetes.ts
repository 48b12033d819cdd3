/** A control plane in a process of its own, for tests that kill it: `run-kubernetes.ts FOLDER`. */
import { createLogger } from "../../lib/log.ts";
import { startKubernetes } from "../index.ts";

const kubernetes = await startKubernetes({
  dataDir: process.argv[2] ?? "",
  logger: createLogger("warn"),
  backOff: { initial: 200, maximum: 1000, resetAfter: 60_000 },
});
process.stdout.write(`${kubernetes.kubeconfig}\n`);
process.once("SIGTERM", () => void kubernetes.stopAll().then(() => process.exit(0)));
