import { expect, test } from "vitest";
import { type Images, repositoryOf, resolveCommand, resolveImage } from "./image.ts";

const images: Images = new Map([
  ["example/hello", ["node", "hello.js"]],
  [
    "example/web",
    { command: ["node", "web.js"], args: ["--port", "80"], env: { A: "1" }, workingDir: "/srv" },
  ],
  ["example/web:2", ["node", "web-2.js"]],
]);

function run(image: string, own: { command?: string[]; args?: string[] } = {}) {
  const resolved = resolveCommand({ image, ...own }, resolveImage(image, images), (text) =>
    text.replace("$(N)", "n"),
  );
  return resolved.kind === "command" ? resolved.command.join(" ") : `${resolved.reason}: ${resolved.message}`;
}

test("command and args take the place of the image's, as in a container", () => {
  expect(run("example/web:1.0")).toBe("node web.js --port 80");
  expect(run("example/web", { args: ["$(N)"] })).toBe("node web.js n");
  expect(run("example/web", { command: ["sh"] })).toBe("sh");
  expect(run("example/hello@sha256:abc", { args: ["x"] })).toBe("node hello.js x");
  expect(run("example/web:2")).toBe("node web-2.js");
  expect(resolveImage("example/web:1", images)).toMatchObject({ workingDir: "/srv" });
});

test("process:// names a program of this machine", () => {
  expect(run("process:///usr/bin/env", { args: ["A=1"] })).toBe("/usr/bin/env A=1");
  expect(run("process://node", { args: ["-v"] })).toBe("node -v");
  expect(run("process://")).toMatch(/^InvalidImageName/);
});

test("what stands for nothing says what to do", () => {
  expect(run("nginx:1.27")).toMatch(/^ErrImagePull: .*`nginx:1.27`.*fairlead\.yaml/);
  expect(run("nginx", { command: ["sh", "-c", "$(N)"] })).toBe("sh -c n");
});

test("a name without tag and digest", () => {
  expect(repositoryOf("registry:5000/app/web:1.2@sha256:0")).toBe("registry:5000/app/web");
  expect(repositoryOf("registry:5000/app/web")).toBe("registry:5000/app/web");
});
