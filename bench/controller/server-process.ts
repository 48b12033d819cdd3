/** The cluster of the bench as a process of its own: the embedded API server, Deployments and ReplicaSets, pods without processes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeploymentKind, PodKind, ReplicaSetKind } from "../../api/core.ts";
import { install } from "../../cli/up/install.ts";
import { createClient } from "../../kube/client.ts";
import { createInformers } from "../../kube/informer.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { serveKubernetes } from "../../local/apiserver/serve.ts";
import { startDeployments } from "../../local/controllers/deployment/reconcile.ts";
import { startReplicaSets } from "../../local/controllers/replica-set/reconcile.ts";
import { keepPodsReady } from "./pods.ts";

const dataDir = mkdtempSync(join(tmpdir(), "fairlead-bench-"));
process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));
process.once("disconnect", () => process.exit(0));

const server = await serveKubernetes({ dataDir, host: "127.0.0.1", port: 0, logger: silent });
const client = createClient(server.connection());
await install(client);
const informers = createInformers(client, silent);
await informers.watch(DeploymentKind, ReplicaSetKind, PodKind);
const context = { client, informers, recorder: { event: () => {} }, logger: silent, clock: systemClock };
startReplicaSets(context);
startDeployments(context);
keepPodsReady(client, informers);
process.send?.({ connection: server.connection() });
