import { describe, expect, test } from "vitest";
import type { Schema, ValidationRule } from "../schema/schema.ts";
import { compileExpression, ExpressionError } from "./environment.ts";
import { ruleFaults, uncompilableRules } from "./rules.ts";

const schemaOf = (spec: Schema): Schema => ({ type: "object", properties: { spec } });
const withRules = (schema: Schema, ...rules: ValidationRule[]): Schema => ({
  ...schema,
  "x-kubernetes-validations": rules,
});
const said = (object: unknown, old: unknown, schema: Schema) =>
  ruleFaults(object, old, schema).map(({ field, message }) => `${field}: ${message}`);

describe("a rule", () => {
  const integers: Schema = {
    type: "object",
    properties: { min: { type: "integer" }, max: { type: "integer" }, namespace: { type: "string" } },
  };

  test("sees the fields of its schema, and says its message", () => {
    const schema = schemaOf(withRules(integers, { rule: "self.min <= self.max", message: "min above max" }));
    expect(said({ spec: { min: 1, max: 2 } }, undefined, schema)).toEqual([]);
    expect(said({ spec: { min: 3, max: 2 } }, undefined, schema)).toEqual([
      "spec: Invalid value: min above max",
    ]);
    expect(said({ spec: { min: 3 } }, undefined, schema)).toEqual([
      'spec: Invalid value: "object": no such key: max evaluating rule: min above max',
    ]);
  });

  test("names reserved words as Kubernetes does", () => {
    const schema = schemaOf(withRules(integers, { rule: "self.__namespace__ == 'a'" }));
    expect(said({ spec: { namespace: "a" } }, undefined, schema)).toEqual([]);
    expect(said({ spec: { namespace: "b" } }, undefined, schema)).toEqual([
      "spec: Invalid value: failed rule: self.__namespace__ == 'a'",
    ]);
  });

  test("about a change is asked for a change only, unless oldSelf is optional", () => {
    const rule: ValidationRule = {
      rule: "self == oldSelf",
      message: "it is fixed",
      reason: "FieldValueForbidden",
    };
    const schema = schemaOf(withRules({ type: "string" }, rule));
    expect(said({ spec: "a" }, undefined, schema)).toEqual([]);
    expect(said({ spec: "a" }, { spec: "a" }, schema)).toEqual([]);
    expect(said({ spec: "b" }, { spec: "a" }, schema)).toEqual(["spec: Forbidden: it is fixed"]);
    const optional = schemaOf(
      withRules({ type: "string" }, { rule: "oldSelf.hasValue() || self == 'a'", optionalOldSelf: true }),
    );
    expect(said({ spec: "b" }, undefined, optional)).toHaveLength(1);
    expect(said({ spec: "b" }, { spec: "a" }, optional)).toEqual([]);
  });

  test("finds the old item of a keyed list by its key", () => {
    const items = withRules(
      { type: "object", properties: { id: { type: "string" }, n: { type: "integer" } } },
      { rule: "self.n >= oldSelf.n", messageExpression: "'n fell to ' + string(self.n)", fieldPath: ".n" },
    );
    const list: Schema = {
      type: "array",
      items,
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["id"],
    };
    const old = {
      spec: [
        { id: "a", n: 1 },
        { id: "b", n: 5 },
      ],
    };
    expect(
      said(
        {
          spec: [
            { id: "b", n: 6 },
            { id: "c", n: 0 },
          ],
        },
        old,
        schemaOf(list),
      ),
    ).toEqual([]);
    expect(
      said(
        {
          spec: [
            { id: "b", n: 4 },
            { id: "a", n: 1 },
          ],
        },
        old,
        schemaOf(list),
      ),
    ).toEqual(["spec[0].n: Invalid value: n fell to 4"]);
  });

  test("is not asked again about what has not changed", () => {
    const schema = schemaOf(withRules(integers, { rule: "self.min <= self.max" }));
    expect(said({ spec: { min: 3, max: 2 } }, { spec: { min: 3, max: 2 } }, schema)).toEqual([]);
  });

  test("that cannot be compiled is refused with its CRD", () => {
    const schema = schemaOf(withRules({ type: "string" }, { rule: "self ==" }, { rule: "unheardOf(self)" }));
    const fields = uncompilableRules(schema, "schema").map(({ field }) => field);
    expect(fields).toEqual(
      [0, 1].map((at) => `schema.properties[spec].x-kubernetes-validations[${at}].rule`),
    );
  });
});

describe("Kubernetes' library", () => {
  test.for([
    "url('https://example.com:80/a?b=c').getHost() == 'example.com:80'",
    "url('https://example.com:80/a?b=c').getHostname() == 'example.com'",
    "url('/a/b').getScheme() == '' && url('/a/b').getEscapedPath() == '/a/b'",
    "url('http://x/?b=1&b=2').getQuery()['b'] == ['1', '2']",
    "!isURL('not a url') && !isURL('../a')",
    "isIP('::1') && !isIP('1.2.3.4.5') && ip('127.0.0.1').isLoopback() && ip('::1').family() == 6",
    "ip('192.168.1.1').isGlobalUnicast() && ip('fe80::1').isLinkLocalUnicast()",
    "ip('2001:DB8::1') == ip('2001:db8:0::1') && !ip.isCanonical('2001:DB8::1')",
    "string(ip('2001:db8:0:0:1:0:0:1')) == '2001:db8::1:0:0:1'",
    "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
    "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8')",
    "cidr('::1/128').prefixLength() == 128 && isCIDR('1.2.3.4/32') && !isCIDR('1.2.3.4/33')",
    "quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('500m').add(quantity('1500m')) == quantity('2')",
    "quantity('50k').sub(20000) == quantity('30k') && quantity('200M').compareTo(quantity('0.2G')) == 0",
    "isQuantity('1.5Gi') && !isQuantity('1Q') && quantity('5').asInteger() == 5 && quantity('-1').sign() == -1",
    "semver('1.2.3-rc.1').isLessThan(semver('1.2.3')) && semver('v1.2', true).minor() == 2 && !isSemver('1.2')",
    "[1, 3, 2].max() == 3 && [1, 3, 2].min() == 1 && [1, 2].sum() == 3 && !['b', 'a'].isSorted()",
    "['a', 'b', 'a'].indexOf('a') == 0 && ['a', 'b', 'a'].lastIndexOf('a') == 2 && [1].indexOf(2) == -1",
    "sets.contains([1, 2, 3], [2]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 1, 2], [2, 1])",
    "'abc 123'.find('[0-9]+') == '123' && '1 2 3'.findAll('[0-9]', 2) == ['1', '2']",
    "format.dns1123Label().validate('a-b') == null && format.dns1123Label().validate('A_b').hasValue()",
    "!format.named('labelValue').validate('ok').hasValue() && format.uuid().validate('x').value().size() == 1",
    "'a,b'.split(',').join('-') == 'a-b' && 'Abc'.lowerAscii() == 'abc' && 'abc'.replace('b', 'x') == 'axc'",
    "duration('1h') > duration('59m') && timestamp('2026-01-01T00:00:00Z').getFullYear() == 2026",
    '\'x\'.matches(r"""^(?i)X$""")',
  ])("%s", (expression) => {
    expect(compileExpression(expression)({})).toBe(true);
  });

  test("what is no value of a type is an error, not false", () => {
    for (const expression of ["ip('x').family() == 4", "quantity('x').sign() == 0", "[].max() == 0"])
      expect(() => compileExpression(expression)({})).toThrow(ExpressionError);
  });
});
