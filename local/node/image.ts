import type { Container } from "./container.ts";

/** What stands for an image: its entrypoint alone, or with what else an image says. */
export type ImageProgram =
  | readonly string[]
  | {
      /** The entrypoint: a container's `command` takes its place. */
      readonly command: readonly string[];
      /** What follows it unless the container has `args`. */
      readonly args?: readonly string[];
      /** Variables that the container's own override. */
      readonly env?: Readonly<Record<string, string>>;
      /** Where it runs unless the container has a `workingDir`. */
      readonly workingDir?: string;
    };

/** Image name → what stands for it. A name with a tag or digest wins over one without. */
export type Images = ReadonlyMap<string, ImageProgram>;

/** What a container's image brings: nothing where it stands for nothing. */
export interface ResolvedImage {
  readonly command?: readonly string[];
  readonly args: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
  readonly workingDir?: string;
}

/** What a container runs, or why it cannot: the reason is the kubelet's, for `state.waiting`. */
export type ResolvedCommand =
  | { readonly kind: "command"; readonly command: readonly string[] }
  | {
      readonly kind: "unavailable";
      readonly reason: "ErrImagePull" | "InvalidImageName";
      readonly message: string;
    };

/** An image that is a program of this machine: `process:///usr/bin/python3`, `process://node`. */
const processScheme = "process://";

/** Finds what stands for an image: the program that `process://` names, else what `images` says. */
export function resolveImage(image: string, images: Images): ResolvedImage {
  const nothing = { args: [], environment: new Map<string, string>() };
  if (image.startsWith(processScheme)) {
    const program = image.slice(processScheme.length);
    return program === "" ? nothing : { ...nothing, command: [program] };
  }
  const found = images.get(image) ?? images.get(repositoryOf(image));
  if (!found) return nothing;
  if (!("command" in found)) return { ...nothing, command: found };
  const { command, args = [], env = {}, workingDir } = found;
  const environment = new Map(Object.entries(env));
  return { command, args, environment, ...(workingDir === undefined ? {} : { workingDir }) };
}

/**
 * What a container runs, as with a real image: its `command`, else the image's; its `args`, else the image's unless it
 * has a command of its own.
 *
 * `expand` replaces `$(NAME)` in the container's command and args.
 */
export function resolveCommand(
  { image = "", command, args }: Pick<Container, "image" | "command" | "args">,
  resolved: ResolvedImage,
  expand: (text: string) => string,
): ResolvedCommand {
  const own = command?.length ? command.map(expand) : undefined;
  const program = own ?? resolved.command;
  const words = args?.length ? args.map(expand) : own ? [] : resolved.args;
  if (program) return { kind: "command", command: [...program, ...words] };
  if (image === processScheme) {
    const message = `Failed to apply default image tag "${image}": name a program behind ${processScheme}`;
    return { kind: "unavailable", reason: "InvalidImageName", message };
  }
  const hint = "give the container a command, or name one for this image under `images` in fairlead.yaml";
  const message = `images are not pulled on this machine (\`${image}\`): ${hint}`;
  return { kind: "unavailable", reason: "ErrImagePull", message };
}

/** `registry:5000/app/web:1.2@sha256:…` → `registry:5000/app/web`. */
export function repositoryOf(image: string): string {
  const withoutDigest = image.split("@")[0] ?? "";
  const tag = withoutDigest.indexOf(":", withoutDigest.lastIndexOf("/") + 1);
  return tag < 0 ? withoutDigest : withoutDigest.slice(0, tag);
}
