/** An annotation holds what it may not; the pod is refused with this message. */
export class AnnotationError extends Error {
  override readonly name = "AnnotationError";

  /** @param allowed completes "which is not …" */
  constructor(annotation: string, value: string, allowed: string) {
    const shown = JSON.stringify(value.slice(0, 80)).slice(1, -1);
    super(`annotation \`${annotation}\` is \`${shown}\`, which is not ${allowed}`);
  }
}
