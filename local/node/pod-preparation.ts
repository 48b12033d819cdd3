import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  ConfigMapKind,
  PersistentVolumeClaimKind,
  PersistentVolumeKind,
  type Pod,
  SecretKind,
} from "../../api/core.ts";
import { makeFolders } from "../../lib/folders.ts";
import { hostAddress } from "./address.ts";
import { baseEnvironment } from "./base-environment.ts";
import type { Container } from "./container.ts";
import { containerFolder, type StartPlan } from "./container-runner.ts";
import { buildEnvironment, ContainerConfigError, type ObjectLookup } from "./environment.ts";
import { expand } from "./expansion.ts";
import { repositoryOf, resolveCommand, resolveImage } from "./image.ts";
import type { PodPlace, ProcessUser } from "./network/pod-network.ts";
import type { PodContext } from "./pod-context.ts";
import { terminationMessagePath } from "./process/attempt-folder.ts";
import { folderOf, VolumeError, volumeContent } from "./volumes/content.ts";
import { mountCommand } from "./volumes/mount-command.ts";
import { type Mount, mountsJson, mountsOf, mountsVariable, resolvePath } from "./volumes/mounts.ts";
import { PodTokens } from "./volumes/tokens.ts";
import { writeVolume } from "./volumes/write.ts";

/** How to start a container, or the kubelet's word for why its image is missing. */
export type Prepared =
  | ({ readonly kind: "start" } & Omit<StartPlan, "backOff">)
  | { readonly kind: "unavailable"; readonly reason: string; readonly message: string };

interface ContainerPlace extends Pick<StartPlan, "environment" | "workingFolder" | "enter"> {
  readonly mounts: readonly Mount[];
}

/** Whether a pod's volumes stand, and when their tokens are due (epoch milliseconds). */
export type Mounted =
  | { readonly kind: "mounted"; readonly renewAt?: number }
  | { readonly kind: "failed"; readonly message: string };

/** Makes of a pod's manifest what this machine can run: volumes as folders, environments, commands. */
export class PodPreparation {
  readonly #context: PodContext;
  readonly #folder: string;
  readonly #ip: string;
  readonly #tokens: PodTokens;
  readonly #volumeFolders = new Map<string, string>();
  #network: PodPlace | undefined;

  constructor(context: PodContext, folder: string, ip: string) {
    this.#context = context;
    this.#folder = folder;
    this.#ip = ip;
    this.#tokens = new PodTokens(context.client, context.clock);
  }

  /** Knows the pod's place and its volumes' folders again without touching them: for containers that run already. */
  assume(pod: Pod): void {
    this.#network = this.#context.network.find(this.#folder);
    const lookup = this.#lookup(pod);
    for (const { name, hostPath, persistentVolumeClaim: claim } of pod.spec?.volumes ?? []) {
      const claimed = claim && folderOf(lookup.claim(claim.claimName)?.volume);
      this.#volumeFolders.set(name, hostPath?.path ?? claimed ?? this.#volumeFolder(name));
    }
  }

  /**
   * Makes the pod's own network where it has none yet.
   *
   * @returns why that failed; undefined where it stands
   */
  async connect({ metadata: { name, namespace = "default" } }: Pod): Promise<string | undefined> {
    try {
      const pod = { name, namespace, ip: this.#ip, folder: this.#folder };
      this.#network = await this.#context.network.attach(pod);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** Brings the volumes' files up to date. Never rejects. */
  async mount(pod: Pod): Promise<Mounted> {
    try {
      const renewAt = await this.#tokens.refresh(pod);
      for (const volume of pod.spec?.volumes ?? []) {
        const content = volumeContent(volume, {
          pod,
          place: this.#place,
          lookup: this.#lookup(pod),
          token: (audience, seconds) => this.#tokens.token(audience, seconds),
        });
        this.#volumeFolders.set(volume.name, writeVolume(this.#volumeFolder(volume.name), content));
      }
      return { kind: "mounted", ...(renewAt === undefined ? {} : { renewAt }) };
    } catch (error) {
      if (!(error instanceof VolumeError)) {
        this.#context.logger.warn({ err: error, pod: pod.metadata.name }, "cannot make a pod's volumes");
      }
      return { kind: "failed", message: error instanceof Error ? error.message : String(error) };
    }
  }

  /** @throws ContainerConfigError where the manifest refers to what is not there */
  prepare(pod: Pod, container: Container): Prepared {
    const { environment, workingFolder, enter, mounts } = this.execPlace(pod, container);
    // A subPath that is not there yet is made, as a folder.
    const missing = mounts.filter(({ source, isFile }) => !isFile && !existsSync(source));
    for (const { source } of missing) makeFolders(source);
    const image = resolveImage(container.image ?? "", this.#context.images);
    const resolved = resolveCommand(container, image, (text) => expand(text, environment));
    if (resolved.kind === "unavailable") return resolved;
    if (!existsSync(workingFolder)) {
      throw new ContainerConfigError(`workingDir \`${workingFolder}\` does not exist on this machine`);
    }
    return { kind: "start", command: resolved.command, environment, workingFolder, enter };
  }

  /** Where a container's process, and what runs beside it, lives. Without a workingDir it is where fairlead was started. */
  execPlace(pod: Pod, container: Container): ContainerPlace {
    const { apiServer, proxyImage, envoy, network, images } = this.#context;
    const image = resolveImage(container.image ?? "", images);
    const base = baseEnvironment({
      ...{ pod, container, apiServer, proxyImage, envoy },
      podIp: this.#ip,
      networkMode: network.mode,
    });
    const variables = buildEnvironment({
      pod,
      container,
      place: this.#place,
      lookup: this.#lookup(pod),
      base: new Map([...base, ...image.environment]),
    });
    const mounts = this.#mounts(container, variables);
    const environment = new Map(variables).set(mountsVariable, mountsJson(mounts));
    const workingDir = container.workingDir ?? image.workingDir;
    const folder = workingDir ? resolvePath(workingDir, mounts) : process.cwd();
    const user = userOf(pod, container);
    const place = this.#network;
    const first = this.#mountWords(container, mounts);
    return {
      environment,
      workingFolder: folder,
      enter: (command) => place?.enter(command, folder, user, first) ?? command,
      mounts,
    };
  }

  /** In namespaces a container that has volumes of its own finds them at their paths; the sidecar knows its own way. */
  #mountWords(container: Container, mounts: readonly Mount[]): readonly string[] {
    const { network, proxyImage } = this.#context;
    const volumes = mounts.filter(({ isFile }) => !isFile);
    const own = volumes.some(({ mountPath }) => !mountPath.startsWith("/var/run/secrets/"));
    if (network.mode === "loopback" || !own || repositoryOf(container.image ?? "") === proxyImage) return [];
    const stage = join(this.#folder, "mounting");
    mkdirSync(stage, { recursive: true });
    return mountCommand(volumes, stage);
  }

  /** Its volumes, and the file for its last words. */
  #mounts(container: Container, variables: ReadonlyMap<string, string>): readonly Mount[] {
    const source = terminationMessagePath(containerFolder(this.#folder, container.name));
    const mountPath = container.terminationMessagePath ?? "/dev/termination-log";
    const words = { mountPath, source, readOnly: false, isFile: true };
    const subPath = (text: string) => expand(text, variables);
    return [...mountsOf({ container, folders: this.#volumeFolders, expand: subPath }), words];
  }

  get #place() {
    return { podIp: this.#ip, hostIp: hostAddress(this.#context.network.range) };
  }

  #volumeFolder(name: string): string {
    return join(this.#folder, "volumes", name);
  }

  #lookup({ metadata: { namespace } }: Pod): ObjectLookup {
    const snapshot = this.#context.snapshot();
    return {
      configMap: (name) => snapshot.get(ConfigMapKind, namespace, name),
      secret: (name) => snapshot.get(SecretKind, namespace, name),
      claim(name) {
        const claim = snapshot.get(PersistentVolumeClaimKind, namespace, name);
        const { volumeName } = claim?.spec ?? {};
        const bound = claim?.status?.phase === "Bound" && volumeName;
        const volume = bound ? snapshot.get(PersistentVolumeKind, undefined, bound) : undefined;
        return claim && (volume ? { volume } : {});
      },
    };
  }
}

/** As the container's securityContext says, else the pod's. */
function userOf({ spec }: Pod, { securityContext }: Container): ProcessUser {
  return {
    user: securityContext?.runAsUser ?? spec?.securityContext?.runAsUser,
    group: securityContext?.runAsGroup ?? spec?.securityContext?.runAsGroup,
  };
}
