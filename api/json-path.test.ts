import { expect, test } from "vitest";
import { jsonPathProblem } from "./json-path.ts";

test.for([
  "$.rate",
  "{$.data.error-rate}",
  "{ $.results[0].value[1] }",
  "$['a b'].c",
  '$["a"][-1:]',
  "$.data[*].x",
  "$..rate",
  "$.a.*",
  "$",
])("%s may be used", (path) => {
  expect(jsonPathProblem(path)).toBeUndefined();
});

/** The escapes of jsonpath-plus 10.0.7, 10.3.0 and 10.4.0 among them. */
test.for([
  "$[?(@.constructor.constructor('return process')())]",
  "$[?(con = @.constructor.constructor, con('x')())]",
  "$..[?(p=\"x\";a=''[['constructor']][['constructor']](p);a())]",
  "$[(@.length-1)]",
  "$..*^",
  "$.a~",
  "$.a@number()",
  "$.a[?@.x]",
  "$`this",
  "$.__proto__",
  "$.__lookupGetter__",
  "$['__defineGetter__']",
  "$.constructor",
  "$.a['constructor']",
  "$.toString.constructor",
  "$.x.prototype",
  "rate",
  "",
  "$.a b",
  "$.a[",
  "$['a\\'b']",
  "$['a']b",
  `$${".a".repeat(300)}`,
])("%s is refused", (path) => {
  expect(jsonPathProblem(path)).toMatch(/./);
});
