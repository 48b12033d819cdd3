import { type Command, Option } from "commander";
import { readableResource } from "../../mesh/build/readable.ts";
import { type ResourceType, resourceTypes } from "../../mesh/build/resource.ts";
import type { View } from "../../mesh/build/view.ts";
import { addSceneOptions, type SceneOptions, withScene } from "../mesh/options.ts";
import { proxyOfNode, proxyOfWorkload } from "../mesh/proxy.ts";
import { printData } from "../output/format.ts";

interface RenderOptions extends SceneOptions {
  readonly proxy: string;
  readonly plain?: boolean;
  readonly type?: ResourceType;
  readonly output: "json" | "yaml";
}

/** Adds `fairlead mesh`. */
export function addMesh(program: Command): void {
  const mesh = program.command("mesh").description("see what the mesh makes of manifests");
  const render = mesh
    .command("render")
    .description("print all that a proxy would be sent, from files: no cluster is needed")
    .requiredOption(
      "--proxy <node>",
      "node id (sidecar~IP~POD.NAMESPACE~NAMESPACE.svc.DOMAIN), or a workload: [NAMESPACE/][KIND/]NAME",
    )
    .option("--plain", "routes with all weights, as a proxy without our runtime layer gets them")
    .addOption(new Option("--type <type>", "only this type").choices(resourceTypes))
    .addOption(new Option("-o, --output <format>", "format").choices(["json", "yaml"]).default("yaml"));
  addSceneOptions(render)
    .addHelpText("after", "\nExample:\n  fairlead mesh render -f manifests/ --proxy demo/web --type route")
    .action((options: RenderOptions) =>
      withScene(options, async (scene, namespace) => {
        const { proxy: text, interception, plain = false, type, output } = options;
        const proxy = text.includes("~")
          ? proxyOfNode(scene.snapshot, text, interception)
          : proxyOfWorkload(scene.snapshot, text, namespace, interception);
        for (const { resource, field, message } of scene.problems)
          process.stderr.write(
            `${resource.kind} ${resource.namespace}/${resource.name}${field}: ${message}\n`,
          );
        await printData(rendered(scene.viewOf(proxy), plain, type), output);
      }),
    );
}

/** Resources by type, as Envoy's own JSON. */
function rendered(view: View, plain: boolean, type: ResourceType | undefined): object {
  const types = type === undefined ? resourceTypes : [type];
  return Object.fromEntries(
    types.map((each) => {
      const layers = plain && each === "route" ? view.plainRoutes : view.resources[each];
      return [each, layers.flatMap((set) => Array.from(set.values(), readableResource))];
    }),
  );
}
