import type { Container } from "./container.ts";

/** Image name without registry tag or digest → the command that stands for it. */
export type Images = ReadonlyMap<string, readonly string[]>;

/** What a container runs, or why it cannot: the reason is the kubelet's, for `state.waiting`. */
export type ResolvedCommand =
  | { readonly kind: "command"; readonly command: readonly string[] }
  | { readonly kind: "unavailable"; readonly reason: "ErrImagePull"; readonly message: string };

/**
 * Finds the program of a container: its `command`, else what `images` says for its image; `args` follow.
 *
 * `expand` replaces `$(NAME)` in command and args (but not in what `images` holds).
 */
export function resolveCommand(
  { image = "", command, args = [] }: Pick<Container, "image" | "command" | "args">,
  images: Images,
  expand: (text: string) => string,
): ResolvedCommand {
  const given = command?.length ? command.map(expand) : images.get(repositoryOf(image));
  if (given) return { kind: "command", command: [...given, ...args.map(expand)] };
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
