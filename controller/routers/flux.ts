/** Keep Flux from undoing what a rollout changes. */
export const fluxAnnotations = {
  "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
  "helm.toolkit.fluxcd.io/driftDetection": "disabled",
} as const;
