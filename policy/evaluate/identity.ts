import type { TextMatch } from "../model.ts";
import { textTest } from "./text.ts";

const scheme = "spiffe://";

/** A test of one identity of a peer: its SPIFFE ID, a DNS name or its subject. */
export type IdentityTest = (identity: string) => boolean;

export function principalTest(match: TextMatch): IdentityTest {
  if (match.kind === "present") return (identity) => identity !== "";
  const matches = textTest(match);
  return (identity) => identity.startsWith(scheme) && matches(identity.slice(scheme.length));
}

/** `/ns/` + glob + `/` anywhere, each star of the glob any text. */
export function namespaceTest(glob: string): IdentityTest {
  const pieces = `/ns/${glob}/`.split("*");
  const [only = ""] = pieces;
  if (pieces.length === 1) return (identity) => identity.includes(only);
  return (identity) => {
    let from = 0;
    for (const piece of pieces) {
      const found = identity.indexOf(piece, from);
      if (found < 0) return false;
      from = found + piece.length;
    }
    return true;
  };
}

/** `spiffe://…/ns/<namespace>/…sa/<name>`, with any pairs between and behind them. */
export function serviceAccountTest(namespace: string, name: string): IdentityTest {
  const home = `/ns/${namespace}/`;
  const account = `sa/${name}`;
  const endsHere = (identity: string, end: number): boolean =>
    end === identity.length || (identity[end] === "/" && end + 1 < identity.length);
  return (identity) => {
    if (!identity.startsWith(scheme)) return false;
    for (let at = identity.indexOf(home, scheme.length + 1); at >= 0; at = identity.indexOf(home, at + 1)) {
      const start = at + home.length;
      for (
        let found = identity.indexOf(account, start);
        found >= 0;
        found = identity.indexOf(account, found + 1)
      ) {
        const led = found === start || (found > start + 1 && identity[found - 1] === "/");
        if (led && endsHere(identity, found + account.length)) return true;
      }
    }
    return false;
  };
}

/** The domain is what stands before the first slash; something must follow. */
export function trustDomainTest(match: TextMatch): IdentityTest {
  const matches = textTest(match);
  return (identity) => {
    if (!identity.startsWith(scheme)) return false;
    const slash = identity.indexOf("/", scheme.length);
    return slash >= 0 && matches(identity.slice(scheme.length, slash));
  };
}
