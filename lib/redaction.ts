/** Where secrets stand in objects that might be logged. */
export const redactedPaths = [
  "authorization",
  "*.authorization",
  "*.headers.authorization",
  "token",
  "*.token",
  "password",
  "*.password",
  "privateKey",
  "*.privateKey",
  "key",
  "*.key",
] as const;

/** `text` with bearer tokens and the password of URLs cut out: for messages that carry another program's words. */
export function redact(text: string): string {
  return text
    .replace(/(bearer\s+)[A-Za-z0-9._~+/-]+=*/gi, "$1***")
    .replace(/(\/\/[^/\s:@]+:)[^/\s@]+@/g, "$1***@");
}
