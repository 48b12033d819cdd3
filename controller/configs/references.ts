import type { PodTemplateSpec } from "../../api/core.ts";

/** A ConfigMap or Secret that a pod template reads. */
export interface ConfigRef {
  readonly kind: "configmap" | "secret";
  readonly name: string;
  /** May be absent from the cluster. True only if every reference to it says so. */
  readonly optional: boolean;
}

type PodSpec = NonNullable<PodTemplateSpec["spec"]>;
type Container = PodSpec["containers"][number];
type Volume = NonNullable<PodSpec["volumes"]>[number];

/**
 * Every ConfigMap and Secret that a pod reads through volumes, projected volumes, `env` and `envFrom` of its
 * containers and init containers, once each, sorted.
 */
export function configReferences(template: PodTemplateSpec): readonly ConfigRef[] {
  const found = new Map<string, ConfigRef>();
  const add = (kind: ConfigRef["kind"], name: string | undefined, optional: boolean | undefined): void => {
    if (name === undefined || name === "") return;
    const key = `${kind}/${name}`;
    found.set(key, { kind, name, optional: optional === true && (found.get(key)?.optional ?? true) });
  };
  const spec = template.spec;
  if (spec === undefined) return [];
  for (const volume of spec.volumes ?? []) {
    add("configmap", volume.configMap?.name, volume.configMap?.optional);
    add("secret", volume.secret?.secretName, volume.secret?.optional);
    for (const source of volume.projected?.sources ?? []) {
      add("configmap", source.configMap?.name, source.configMap?.optional);
      add("secret", source.secret?.name, source.secret?.optional);
    }
  }
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
    for (const { valueFrom } of container.env ?? []) {
      add("configmap", valueFrom?.configMapKeyRef?.name, valueFrom?.configMapKeyRef?.optional);
      add("secret", valueFrom?.secretKeyRef?.name, valueFrom?.secretKeyRef?.optional);
    }
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      add("configmap", configMapRef?.name, configMapRef?.optional);
      add("secret", secretRef?.name, secretRef?.optional);
    }
  }
  return [...found.values()].sort((a, b) => (`${a.kind}/${a.name}` < `${b.kind}/${b.name}` ? -1 : 1));
}

/** `template` with every reference to a ConfigMap or Secret named by `rename`, which returns the name as it is to keep it. */
export function renameConfigs(
  template: PodTemplateSpec,
  rename: (kind: ConfigRef["kind"], name: string) => string,
): PodTemplateSpec {
  const spec = template.spec;
  if (spec === undefined) return template;
  return {
    ...template,
    spec: {
      ...spec,
      containers: spec.containers.map((container) => renameInContainer(container, rename)),
      ...(spec.initContainers && {
        initContainers: spec.initContainers.map((container) => renameInContainer(container, rename)),
      }),
      ...(spec.volumes && { volumes: spec.volumes.map((volume) => renameInVolume(volume, rename)) }),
    },
  };
}

type Rename = (kind: ConfigRef["kind"], name: string) => string;

function renamed<T extends { readonly name?: string }>(kind: ConfigRef["kind"], ref: T, rename: Rename): T {
  return ref.name === undefined ? ref : { ...ref, name: rename(kind, ref.name) };
}

function renameInContainer(container: Container, rename: Rename): Container {
  return {
    ...container,
    ...(container.env && {
      env: container.env.map((variable) => {
        const from = variable.valueFrom;
        if (from === undefined) return variable;
        return {
          ...variable,
          valueFrom: {
            ...from,
            ...(from.configMapKeyRef && {
              configMapKeyRef: renamed("configmap", from.configMapKeyRef, rename),
            }),
            ...(from.secretKeyRef && { secretKeyRef: renamed("secret", from.secretKeyRef, rename) }),
          },
        };
      }),
    }),
    ...(container.envFrom && {
      envFrom: container.envFrom.map((source) => ({
        ...source,
        ...(source.configMapRef && { configMapRef: renamed("configmap", source.configMapRef, rename) }),
        ...(source.secretRef && { secretRef: renamed("secret", source.secretRef, rename) }),
      })),
    }),
  };
}

function renameInVolume(volume: Volume, rename: Rename): Volume {
  const secretName = volume.secret?.secretName;
  return {
    ...volume,
    ...(volume.configMap && { configMap: renamed("configmap", volume.configMap, rename) }),
    ...(volume.secret &&
      secretName !== undefined && {
        secret: { ...volume.secret, secretName: rename("secret", secretName) },
      }),
    ...(volume.projected?.sources && {
      projected: {
        ...volume.projected,
        sources: volume.projected.sources.map((source) => ({
          ...source,
          ...(source.configMap && { configMap: renamed("configmap", source.configMap, rename) }),
          ...(source.secret && { secret: renamed("secret", source.secret, rename) }),
        })),
      },
    }),
  };
}
