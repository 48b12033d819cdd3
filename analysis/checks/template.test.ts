import fc from "fast-check";
import { expect, test } from "vitest";
import { fillTemplate, type TemplateValues } from "./template.ts";

const values: TemplateValues = {
  name: "shop",
  namespace: "demo",
  target: "shop-app",
  service: "shop",
  ingress: "in",
  route: "rt",
  interval: "1m",
  variables: new Map([["direction", "inbound"]]),
};

test("Flagger's functions and variables are filled in, whatever the spacing", () => {
  const template =
    'sum(rate(x{ns="{{ namespace }}",w=~"{{target}}",d="{{- variables.direction -}} "}[{{ interval }}])) {{name}} {{ service }} {{ ingress }} {{ route }}';
  expect(fillTemplate(template, values)).toEqual({
    kind: "filled",
    text: 'sum(rate(x{ns="demo",w=~"shop-app",d="inbound"}[1m])) shop shop in rt',
  });
});

test.for([
  ["{{ unknown }}", "`{{ unknown }}` is no known variable of a metric query"],
  ["{{ variables.missing }}", "`{{ variables.missing }}` is no known variable of a metric query"],
  ["{{ variables.constructor }}", "`{{ variables.constructor }}` is no known variable of a metric query"],
  ["{{ variables.__proto__ }}", "`{{ variables.__proto__ }}` is no known variable of a metric query"],
  ['{{ printf "%s" name }}', '`{{ printf "%s" name }}` is no known variable of a metric query'],
  ["{{ if name }}x{{ end }}", "`{{ if name }}` is no known variable of a metric query"],
  ["up{{ name", "a `{{` or `}}` has no partner"],
] as const)("anything else is refused: %s", ([template, reason]) => {
  expect(fillTemplate(template, values)).toEqual({ kind: "refused", reason });
});

test("a value can never change what the query asks", () => {
  for (const evil of ['a"} or up{x="', "a}", "a\nb", "a\\", "{{ name }}", "a'b", "a`b"]) {
    expect(
      fillTemplate('x{a="{{ variables.key }}"}', { ...values, variables: new Map([["key", evil]]) }).kind,
    ).toBe("refused");
  }
});

test("it never throws and never leaves an expression behind", () => {
  const piece = fc.constantFrom("{{", "}}", " name ", "variables.direction", "{", "}", '"', "-", "up");
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const filled = fillTemplate(pieces.join(""), values);
      if (filled.kind === "filled")
        expect(filled.text.replaceAll(/"(?:[^"\\]|\\.)*"/g, "")).not.toMatch(/\{\{|\}\}/);
    }),
  );
});
