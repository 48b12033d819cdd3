import { isIP } from "node:net";
import { readBlock } from "../compile/block.ts";
import { isPathTemplate, isReadableTemplate } from "../compile/operation.ts";

/** What is wrong with one value, or why it is likely to match nothing. */
export interface Finding {
  readonly message: string;
  readonly warning?: true;
}

/** Looks at one value of a field; undefined where nothing is to be said. */
export type CheckValue = (value: string) => Finding | undefined;

const refuse = (message: string): Finding => ({ message });
const warn = (message: string): Finding => ({ message, warning: true });

/** Stars at one end only: Istio takes others for plain characters, without a word. */
function starInside(value: string): boolean {
  if (value === "*") return false;
  const inner = value.startsWith("*") ? value.slice(1) : value.endsWith("*") ? value.slice(0, -1) : value;
  return inner.includes("*");
}

function looksLikeRegex(value: string): boolean {
  return /^\^|\$$|\.\*|\.\+|\(\?|\\[dwsb]|\[\^|\([^)]*\|[^)]*\)/.test(value);
}

/** Text with Istio's wildcards. */
export const checkPattern: CheckValue = (value) => {
  if (value === "") return refuse("is empty");
  if (looksLikeRegex(value))
    return refuse(
      `\`${value}\` looks like a regular expression: write an exact text, \`x*\`, \`*x\` or \`*\``,
    );
  if (starInside(value))
    return refuse(`\`${value}\` has a star inside: a star may stand at one end only, or alone`);
  return undefined;
};

/** Free text such as a header's or a claim's value: a star inside may be meant. */
export const checkText: CheckValue = (value) => {
  if (value === "") return refuse("is empty");
  return starInside(value) && value !== "*/*"
    ? warn(`\`${value}\` has a star inside, which is compared as a plain character`)
    : undefined;
};

export const checkPath: CheckValue = (value) => {
  if (isPathTemplate(value)) {
    return isReadableTemplate(value)
      ? undefined
      : refuse(
          `\`${value}\` is no template: whole segments \`{*}\`, a last \`{**}\`, no other braces or stars`,
        );
  }
  const pattern = checkPattern(value);
  if (pattern) return pattern;
  if (/[?#]/.test(value)) return warn(`\`${value}\` matches nothing: paths are compared without their query`);
  if (!/^[/*]/.test(value)) return warn(`\`${value}\` matches nothing: a path begins with a slash`);
  return /[{}]/.test(value) ? warn(`\`${value}\` matches nothing: braces arrive encoded`) : undefined;
};

export const checkMethod: CheckValue = (value) =>
  checkPattern(value) ??
  (/[a-z]/.test(value) ? warn(`\`${value}\` matches nothing: methods are upper-case`) : undefined);

export const checkPort: CheckValue = (value) =>
  /^\d+$/.test(value) && Number(value) <= 65_535
    ? undefined
    : refuse(`\`${value}\` is no port: a number from 0 to 65535`);

export const checkAddress: CheckValue = (value) =>
  readBlock(value) || (isIP(value) !== 0 && !value.includes("/"))
    ? undefined
    : refuse(`\`${value}\` is no address and no block such as \`10.0.0.0/8\``);

export const checkPrincipal: CheckValue = (value) =>
  checkPattern(value) ??
  (value.startsWith("spiffe://")
    ? warn(`\`${value}\` matches nothing: write it without \`spiffe://\``)
    : undefined);

export const checkNamespace: CheckValue = (value) => {
  if (value === "") return refuse("is empty");
  return /^[a-z0-9*.-]+$/.test(value)
    ? undefined
    : refuse(`\`${value}\` is no namespace: lower-case letters, digits, \`-\` and \`*\``);
};

const longestAccount = 320;

export const checkServiceAccount: CheckValue = (value) => {
  const parts = value.split("/");
  if (value.includes("*")) return refuse(`\`${value}\`: a service account takes no wildcard`);
  if (value.length > longestAccount) return refuse(`is longer than ${longestAccount} characters`);
  return parts.length <= 2 && parts.every((part) => /^[a-z0-9.-]+$/i.test(part))
    ? undefined
    : refuse(`\`${value}\` is no service account: \`name\` or \`namespace/name\``);
};

/** The issuer and the subject are compared apart; one star at one end of the whole. */
export const checkRequestPrincipal: CheckValue = (value) => {
  if (value === "") return refuse("is empty");
  if (value === "*") return undefined;
  if (starInside(value)) return refuse(`\`${value}\` has a star inside: one star at one end, or \`*\` alone`);
  return value.includes("/") || value.startsWith("*") || value.endsWith("*")
    ? undefined
    : warn(`\`${value}\` names an issuer with an empty subject: write \`${value}/*\``);
};

export const checkSni: CheckValue = (value) =>
  checkPattern(value) ??
  (/[A-Z]/.test(value) ? warn(`\`${value}\` matches nothing: server names arrive in lower case`) : undefined);
