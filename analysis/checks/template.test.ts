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
  ["{{ index name 0 }}", "`index` does not take these arguments"],
  ["{{ range name }}x{{ end }}", "`range` goes over a map, such as `variables`"],
  ["{{ range variables }}x", "an `{{ range }}` has no `{{ end }}`"],
  ["{{ with name }}x{{ else }}y", "an `{{ with }}` has no `{{ end }}`"],
  ["{{ with name }}{{ .x }}{{ end }}", "`{{ $.x }}` is no known variable of a metric query"],
  ["{{ if name }}{{ $x := name }}{{ end }}{{ $x }}", "`$x` is not declared"],
  [
    "{{ range $a, $b, $c := variables }}{{ end }}",
    "`{{ range $a, $b, $c := variables }}` is not understood in a template",
  ],
  ["{{ name.constructor }}", "`{{ name.constructor }}` is no known variable of a metric query"],
  ['{{ template "x" }}', "`{{ template }}` is not understood in a template"],
  ["{{ . }}", "`.` is nothing outside of `{{ with }}` and `{{ range }}`"],
  ["{{ .name }}", "`.` is nothing outside of `{{ with }}` and `{{ range }}`"],
  ["{{ process.exit }}", "`{{ process }}` is no known variable of a metric query"],
  ["{{ (name) }}{{ end }}", "`{{ end }}` has no beginning"],
  ["{{ if name }}x", "an `{{ if }}` has no `{{ end }}`"],
  ["{{ if name }}x{{ else }}y", "an `{{ if }}` has no `{{ end }}`"],
  ["{{ $x }}", "`$x` is not declared"],
  ["{{ name service }}", "`name` takes no arguments"],
  ['{{ printf "%d" name }}', "printf cannot write `%d`"],
  ['{{ printf "%s" }}', "printf has no value for `%s`"],
  ["{{ 1 + 1 }}", "`{{ 1 + 1 }}` cannot be read"],
  ["{{ name; name }}", "`{{ name; name }}` cannot be read"],
  [`{{ ${"(".repeat(40)}name${")".repeat(40)} }}`, "the template is nested too deeply"],
  ["up{{ name", "a `{{` or `}}` has no partner"],
  ["x".repeat(20_001), "a template may have 20000 characters"],
] as const)("anything else is refused: %s", ([template, reason]) => {
  expect(fillTemplate(template, values)).toEqual({ kind: "refused", reason });
});

/** As Go's text/template fills them. */
test.for([
  ['{{ printf "%s-%s" namespace target }}', "demo-shop-app"],
  ['{{ printf "%s-canary" service | printf "%q" }}', '"shop-canary"'],
  ["{{ $w := target }}{{ $w }}/{{ $w }}", "shop-app/shop-app"],
  ['{{ if eq namespace "demo" }}a{{ else }}b{{ end }}c', "ac"],
  ['{{ if eq namespace "x" "y" }}a{{ else if ne target "z" }}b{{ else }}c{{ end }}', "b"],
  ['{{ if and (eq name "shop") (not (eq route "x")) }}yes{{ end }}', "yes"],
  ['{{ if or (eq name "x") variables.direction }}yes{{ end }}', "yes"],
  ['{{ index variables "direction" }}[{{ index variables "other" }}]', "inbound[]"],
  ["{{ (variables).direction }} {{ len name }}", "inbound 4"],
  ["a {{- /* nothing */ -}} b", "ab"],
  ['{{ with variables.direction }}d="{{ . }}"{{ else }}none{{ end }}', 'd="inbound"'],
  ['{{ with index variables "other" }}{{ . }}{{ else }}none{{ end }}', "none"],
  ["{{ with variables }}{{ .direction }}{{ end }}", "inbound"],
  ["{{ with $v := target }}{{ $v }}/{{ . }}{{ end }}", "shop-app/shop-app"],
  ['{{ range $key, $value := variables }}{{ $key }}="{{ $value }}",{{ end }}', 'direction="inbound",'],
  ["{{ range variables }}{{ . }}{{ end }}", "inbound"],
  ['{{ $x := "a" }}{{ if true }}{{ $x := "b" }}{{ $x }}{{ end }}{{ $x }}', "ba"],
  ['{{ $x := "a" }}{{ if true }}{{ $x = "b" }}{{ end }}{{ $x }}', "b"],
  ["{{ if $n := len name }}{{ $n }}{{ end }}", "4"],
  ['a {{ `raw }} "text"` }}', 'a raw }} "text"'],
  ['{{ if lt 1 2 }}{{ if gt 1 2 }}x{{ else }}y{{ end }}{{ end }}{{ printf "%.2f%%" 12.345 }}', "y12.35%"],
] as const)("the subset of Go's templates: %s", ([template, text]) => {
  expect(fillTemplate(template, values)).toEqual({ kind: "filled", text });
});

test("a value can never change what the query asks", () => {
  for (const evil of ['a"} or up{x="', "a}", "a\nb", "a\\", "{{ name }}", "a'b", "a`b"]) {
    expect(
      fillTemplate('x{a="{{ variables.key }}"}', { ...values, variables: new Map([["key", evil]]) }).kind,
    ).toBe("refused");
    for (const template of [
      '{{ printf "%s" variables.key }}',
      '{{ index variables "key" }}',
      "{{ $k := variables.key }}{{ $k }}",
    ])
      expect(fillTemplate(template, { ...values, variables: new Map([["key", evil]]) }).kind).toBe("refused");
  }
});

test("ranges in ranges end", () => {
  const variables = new Map(Array.from({ length: 30 }, (_, index) => [`v${index}`, "x"]));
  const depth = 15;
  const template = `${"{{ range variables }}".repeat(depth)}${"{{ end }}".repeat(depth)}`;
  expect(fillTemplate(template, { ...values, variables })).toEqual({
    kind: "refused",
    reason: "the template enters more than 10000 blocks",
  });
});

test("nor can the name of a variable change it", () => {
  const variables = new Map([['a"} or up{x="', "b"]]);
  for (const template of ["{{ range $k, $v := variables }}{{ $k }}{{ end }}", "{{ variables }}"])
    expect(fillTemplate(template, { ...values, variables }).kind).toBe("refused");
});

test("it never throws and never leaves an expression behind", () => {
  const piece = fc.constantFrom(
    ...[
      "{{",
      "}}",
      " name ",
      "variables.direction",
      "{",
      "}",
      '"',
      "-",
      "up",
      "if ",
      "end",
      "else",
      "$x",
      "with ",
      "range ",
      "variables",
      " . ",
      ":=",
      "|",
      "(",
      ")",
    ],
    ...["printf ", "{{ if name }}", "{{ end }}", "`", "/*", "*/", "1"],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const filled = fillTemplate(pieces.join(""), values);
      if (filled.kind === "filled")
        expect(filled.text.replaceAll(/"(?:[^"\\]|\\.)*"/g, "")).not.toMatch(/\{\{|\}\}/);
    }),
  );
});
