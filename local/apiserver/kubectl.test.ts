/** The real kubectl against the server. Skipped where there is none on PATH. */
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { textAt } from "./json.ts";
import { deployment, startTestServer, type TestServer, widget, widgetDefinition } from "./testing.ts";

const installed = spawnSync("kubectl", ["version", "--client"]).status === 0;
const crds = new URL("../../charts/fairlead-crds/templates", import.meta.url).pathname;

describe.skipIf(!installed)(installed ? "kubectl" : "kubectl (skipped: not on PATH)", () => {
  let api: TestServer;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "fairlead-kubectl-"));
    api = await startTestServer({
      async *podLog(_namespace, name, { container, tailLines }) {
        yield Buffer.from(`${name}/${container} tail ${tailLines ?? "all"}\n`);
        yield Buffer.from("second line\n");
      },
    });
    await writeFile(join(folder, "kubeconfig"), api.server.kubeconfig());
  });
  afterAll(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });

  /** Runs kubectl; gives its output, stderr included, and its exit code. */
  function kubectl(...words: string[]): Promise<{ code: number; text: string }> {
    const env = { ...process.env, KUBECONFIG: join(folder, "kubeconfig"), HOME: folder };
    return new Promise((resolve) => {
      execFile("kubectl", words, { env, timeout: 20_000 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, text: `${stdout}${stderr}` });
      });
    });
  }

  async function manifest(...objects: object[]): Promise<string> {
    const path = join(folder, `${Math.random().toString(36).slice(2)}.yaml`);
    await writeFile(path, objects.map((object) => stringify(object)).join("---\n"));
    return path;
  }

  test("create's own commands, which send protobuf, make what they say", async () => {
    const said = async (...words: string[]) => (await kubectl(...words, "-n", "made")).text.trim();
    expect((await kubectl("create", "namespace", "made")).text).toBe("namespace/made created\n");
    expect(await said("create", "configmap", "c", "--from-literal=a=b", "--from-literal=c=")).toBe(
      "configmap/c created",
    );
    expect(await said("get", "configmap", "c", "-o", "jsonpath={.data}")).toBe('{"a":"b","c":""}');
    expect(await said("create", "secret", "generic", "s", "--from-literal=p=ä")).toBe("secret/s created");
    expect(await said("get", "secret", "s", "-o", "jsonpath={.type} {.data.p}")).toBe("Opaque w6Q=");
    expect(await said("create", "deployment", "d", "--image=web:1", "--replicas=3", "--port=80")).toBe(
      "deployment.apps/d created",
    );
    expect(
      await said(
        "get",
        "deployment",
        "d",
        "-o",
        "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].ports}",
      ),
    ).toBe('3 [{"containerPort":80,"protocol":"TCP"}]');
    expect(await said("create", "service", "clusterip", "v", "--tcp=80:web")).toBe("service/v created");
    expect(await said("get", "service", "v", "-o", "jsonpath={.spec.ports[0].targetPort}")).toBe("web");
    expect(await said("create", "serviceaccount", "a")).toBe("serviceaccount/a created");
    expect(await said("create", "token", "a", "--duration=10m")).toMatch(/^eyJ[^ ]+$/);
    expect(await said("create", "role", "r", "--verb=get", "--resource=pods")).toContain(
      "role.rbac.authorization.k8s.io/r created",
    );
    expect(await said("create", "rolebinding", "b", "--role=r", "--serviceaccount=made:a")).toContain(
      "created",
    );
    expect(await said("auth", "can-i", "get", "pods", "--as=system:serviceaccount:made:a")).toBe("yes");
    expect(await said("create", "job", "j", "--image=x", "--", "true")).toBe("job.batch/j created");
    expect(await said("create", "cronjob", "cj", "--image=x", "--schedule=* * * * *")).toBe(
      "cronjob.batch/cj created",
    );
    expect(await said("create", "quota", "q", "--hard=cpu=1500m,pods=2")).toBe("resourcequota/q created");
    expect(await said("get", "quota", "q", "-o", "jsonpath={.spec.hard}")).toBe('{"cpu":"1500m","pods":"2"}');
    expect(await said("create", "pdb", "p", "--selector=app=x", "--min-available=50%")).toContain("created");
    expect(await said("get", "pdb", "p", "-o", "jsonpath={.spec.minAvailable}")).toBe("50%");
    expect(await said("create", "ingress", "i", "--rule=h/p=v:80")).toContain("created");
    expect(await said("autoscale", "deployment", "d", "--max=4")).toContain("autoscaled");
    expect(await said("expose", "deployment", "d", "--name=e", "--port=80")).toBe("service/e exposed");
    expect(await said("run", "r", "--image=x", "--env=A=1", "--restart=Never")).toBe("pod/r created");
    expect(
      await said("get", "pod", "r", "-o", "jsonpath={.spec.containers[0].env} {.spec.restartPolicy}"),
    ).toBe('[{"name":"A","value":"1"}] Never');
    expect((await kubectl("delete", "namespace", "made", "--wait=false")).code).toBe(0);
  });

  test("apply creates, finds unchanged, merges and removes", async () => {
    const file = await manifest(deployment("web"), {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web" },
      spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
    });
    expect((await kubectl("apply", "-f", file)).text).toBe(
      "deployment.apps/web created\nservice/web created\n",
    );
    expect((await kubectl("apply", "-f", file)).text).toBe(
      "deployment.apps/web unchanged\nservice/web unchanged\n",
    );
    const containers = [{ name: "app", image: "web:2", env: [{ name: "A", value: "9" }] }];
    const template = { metadata: { labels: { app: "web" } }, spec: { containers } };
    const changed = await manifest(deployment("web", { replicas: 2, template }));
    expect((await kubectl("apply", "-f", changed)).text).toBe("deployment.apps/web configured\n");
    const { text } = await kubectl(
      "get",
      "deployment",
      "web",
      "-o",
      "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].env}",
    );
    expect(text).toBe('2 [{"name":"A","value":"9"}]');
    expect((await kubectl("diff", "-f", changed)).code).toBe(0);
  });

  test("apply --server-side, also again and forced", async () => {
    const file = await manifest(deployment("applied"));
    for (let turn = 0; turn < 2; turn++) {
      expect((await kubectl("apply", "--server-side", "-f", file)).text).toBe(
        "deployment.apps/applied serverside-applied\n",
      );
    }
    expect(
      (await kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=other", "-f", file))
        .code,
    ).toBe(0);
  });

  test("get prints the columns that people know", async () => {
    await kubectl(
      "apply",
      "-f",
      await manifest(deployment("listed"), {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "lone" },
        spec: { containers: [{ name: "c", image: "i" }] },
      }),
    );
    expect((await kubectl("get", "deployment", "listed")).text).toMatch(
      /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nlisted +0\/1 +0 +0 +\d+s\n$/,
    );
    expect((await kubectl("get", "pods", "-o", "wide")).text).toMatch(
      /NAME +READY +STATUS +RESTARTS +AGE +IP +NODE .*\nlone +0\/1 +Pending +0 /,
    );
    expect((await kubectl("get", "ns")).text).toMatch(/default +Active/);
    expect((await kubectl("get", "all")).text).toContain("deployment.apps/listed");
    expect((await kubectl("get", "deploy/none")).text).toContain(
      'Error from server (NotFound): deployments.apps "none" not found',
    );
  });

  test("patch in all types, label, annotate", async () => {
    await kubectl("apply", "-f", await manifest(deployment("patched")));
    const patch = (type: string, text: string) =>
      kubectl("patch", "deployment", "patched", "--type", type, "-p", text);
    expect(
      (
        await patch(
          "strategic",
          '{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"web:3"}]}}}}',
        )
      ).code,
    ).toBe(0);
    expect((await patch("merge", '{"spec":{"replicas":3}}')).code).toBe(0);
    expect(
      (
        await patch(
          "json",
          '[{"op":"test","path":"/spec/replicas","value":3},{"op":"replace","path":"/spec/replicas","value":4}]',
        )
      ).code,
    ).toBe(0);
    const refused = await patch("json", '[{"op":"test","path":"/spec/replicas","value":3}]');
    expect(refused.code).toBe(1);
    expect(refused.text).toContain("the server rejected our request due to an error in our request");
    expect((await kubectl("label", "deployment", "patched", "tier=front")).text).toContain("labeled");
    expect((await kubectl("annotate", "deployment", "patched", "note=it")).text).toContain("annotated");
    const { text } = await kubectl(
      "get",
      "deployment",
      "-l",
      "tier=front",
      "-o",
      "jsonpath={.items[*].spec.replicas}/{.items[*].spec.template.spec.containers[*].env[1].name}",
    );
    expect(text).toBe("4/B");
  });

  test("wait, describe, logs and delete", async () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "talker", labels: { app: "talker" } },
      // On a node: before that a pod has nothing to say.
      spec: { nodeName: "here", terminationGracePeriodSeconds: 0, containers: [{ name: "c", image: "i" }] },
    };
    await kubectl("apply", "-f", await manifest(pod));
    const uid = textAt(
      (await api.call("GET", "/api/v1/namespaces/default/pods/talker")).body,
      "metadata",
      "uid",
    );
    const waiting = kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=10s");
    const status = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
    await api.call("PATCH", "/api/v1/namespaces/default/pods/talker/status", {
      body: { status },
      contentType: "application/merge-patch+json",
    });
    expect((await waiting).text).toBe("pod/talker condition met\n");
    const event = {
      metadata: { name: "talker.1" },
      involvedObject: { kind: "Pod", name: "talker", namespace: "default", uid },
      type: "Warning",
      reason: "Unhappy",
      message: "said so",
    };
    await api.call("POST", "/api/v1/namespaces/default/events", { body: event });
    const described = await kubectl("describe", "pod", "talker");
    expect(described.text).toMatch(/Status: +Running/);
    expect(described.text).toMatch(/Warning +Unhappy +.*said so/);
    expect((await kubectl("logs", "talker", "--tail=5")).text).toBe("talker/c tail 5\nsecond line\n");
    expect((await kubectl("delete", "pod", "talker")).text).toContain('pod "talker" deleted');
    expect((await kubectl("wait", "--for=delete", "pod/talker", "--timeout=5s")).code).toBe(0);
    expect((await kubectl("get", "events")).text).toMatch(/Warning +Unhappy +pod\/talker +said so/);
  });

  test("get --watch follows, and delete waits for a finalizer", async () => {
    await kubectl(
      "apply",
      "-f",
      await manifest({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "held", finalizers: ["example.com/hold"] },
      }),
    );
    const deleting = kubectl("delete", "configmap", "held", "--timeout=10s");
    const path = "/api/v1/namespaces/default/configmaps/held";
    await expect.poll(async () => (await api.call("GET", path)).text).toContain("deletionTimestamp");
    await api.call("PATCH", path, {
      body: { metadata: { finalizers: null } },
      contentType: "application/merge-patch+json",
    });
    expect((await deleting).code).toBe(0);
  });

  test("custom resources: wait for the kind, apply, explain, and precise refusals", async () => {
    await kubectl("apply", "-f", await manifest(widgetDefinition));
    expect(
      (await kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=5s")).code,
    ).toBe(0);
    expect((await kubectl("apply", "-f", await manifest(widget("w", { size: 2 })))).text).toBe(
      "widget.example.com/w created\n",
    );
    expect((await kubectl("apply", "-f", await manifest(widget("w", { size: 3 })))).text).toBe(
      "widget.example.com/w configured\n",
    );
    expect((await kubectl("get", "wd")).text).toMatch(/NAME +SIZE +READY\nw +3 +\n/);
    expect((await kubectl("explain", "widget.spec.size")).text).toContain("FIELD: size <integer>");
    const unknown = await kubectl("apply", "-f", await manifest(widget("w", { size: 3, sice: 4 })));
    expect(unknown.text).toContain('strict decoding error: unknown field "spec.sice"');
    const wrong = await kubectl("apply", "-f", await manifest(widget("x", { size: "big" })));
    expect(wrong.text).toBe(
      'The Widget "x" is invalid: spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"\n',
    );
    expect(
      (await kubectl("apply", "--server-side", "-f", await manifest(widget("served", { size: 1 })))).text,
    ).toBe("widget.example.com/served serverside-applied\n");
  });

  test("the CRDs of fairlead are taken, and a Canary is checked", async () => {
    expect((await kubectl("apply", "--server-side", "-f", crds)).code).toBe(0);
    const canary = (analysis: object) => ({
      apiVersion: "flagger.app/v1beta1",
      kind: "Canary",
      metadata: { name: "podinfo" },
      spec: {
        targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "podinfo" },
        service: { port: 80 },
        analysis,
      },
    });
    expect(
      (
        await kubectl(
          "apply",
          "-f",
          await manifest(canary({ interval: "10s", threshold: 5, maxWeight: 50, stepWeight: 10 })),
        )
      ).text,
    ).toBe("canary.flagger.app/podinfo created\n");
    expect(
      (await kubectl("apply", "-f", await manifest(canary({ interval: "10s", treshold: 5 })))).text,
    ).toContain('unknown field "spec.analysis.treshold"');
    expect(
      (await kubectl("apply", "-f", await manifest(canary({ interval: "soon", threshold: 5 })))).text,
    ).toContain("spec.analysis.interval");
    expect((await kubectl("get", "canary")).text).toMatch(/NAME +STATUS +WEIGHT/);
    expect((await kubectl("describe", "canary", "podinfo")).text).toContain("Step Weight:  10");
  });
});
