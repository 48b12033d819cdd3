import { expect, test } from "vitest";
import { jsonDuplicates, yamlDuplicates } from "./duplicates.ts";

test.for<[string, string[]]>([
  ['{"a":1,"b":{"a":2}}', []],
  ['{ "a": 1,\n "b": [ {"a": 2}, {"a": 3} ] }', []],
  ['{"a":1,"a":2}', ['duplicate field "a"']],
  ['{"data":{"x":"1","x":"2","x":"3"}}', ['duplicate field "data.x"']],
  ['{"l":[{"k":1},{"k":1,"k":2}]}', ['duplicate field "l[1].k"']],
  ['{"a":"{\\"b\\":1,\\"b\\":2}"}', []],
  ['{"\\u0061":1,"a":2}', ['duplicate field "a"']],
])("%s", ([text, expected]) => {
  expect(jsonDuplicates(text, JSON.parse(text))).toEqual(expected);
});

test("a key of YAML that stands twice is named with its line", () => {
  expect(yamlDuplicates("a: 1\nb:\n  c: 1\n  c: 2\n")).toEqual([
    'yaml: unmarshal errors:\n  line 4: key "c" already set in map',
  ]);
  expect(yamlDuplicates("a: 1\nb: 2\n")).toEqual([]);
});
