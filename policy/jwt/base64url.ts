const letters = /^[A-Za-z0-9\-_ \t\n\v\f\r]*(=*)$/;

/**
 * Decodes base64url as Envoy does: blanks are skipped, padding may be missing but must be right where it stands.
 * Undefined where it is none.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const padding = letters.exec(text)?.[1]?.length;
  if (padding === undefined) return undefined;
  const bare = text.replace(/[\s=]/g, "");
  const over = bare.length % 4;
  if (over === 1 || (padding > 0 && padding !== (4 - over) % 4)) return undefined;
  return Buffer.from(bare, "base64url");
}
