import { expect, test } from "vitest";
import { createAddressGuard } from "./address-guard.ts";

const cluster = createAddressGuard({ loopback: false });
const machine = createAddressGuard({ loopback: true });

test.for([
  "http://169.254.169.254/latest/meta-data",
  "http://[::ffff:169.254.169.254]/",
  "http://2852039166/",
  "http://0xa9fea9fe/",
  "http://0251.0376.0251.0376/",
  "http://169.254.1/",
  "http://[fe80::1]/",
  "http://[fd00:ec2::254]/",
  "http://[64:ff9b::169.254.169.254]/",
  "http://100.100.100.200/",
  "http://0.0.0.0:9090/",
  "http://[::]/",
])("%s is refused everywhere", (url) => {
  expect(cluster.refusal(url)).toMatch(/may not be asked/);
  expect(machine.refusal(url)).toMatch(/may not be asked/);
});

test.for(["http://127.0.0.1:9090", "http://127.1", "https://[::1]/", "http://[::ffff:127.0.0.1]/"])(
  "%s is refused in a cluster, not on one machine",
  (url) => {
    expect(cluster.refusal(url)).toMatch(/may not be asked/);
    expect(machine.refusal(url)).toBeUndefined();
  },
);

test.for(["file:///etc/passwd", "gopher://x", "no url", "javascript:1"])("%s is no http url", (url) => {
  expect(machine.refusal(url)).toMatch(/no (http\(s\) )?url/);
});

test("an ordinary address and a name may be asked", () => {
  expect(cluster.refusal("http://10.0.0.5:9090/x")).toBeUndefined();
  expect(cluster.refusal("http://prometheus.monitoring:9090")).toBeUndefined();
});

test("a name that resolves to a blocked address is refused when it is connected to", async () => {
  const resolve = (guard: typeof cluster, all: boolean) =>
    new Promise((done) =>
      guard.lookup("localhost", { all }, (error, address) => done(error?.message ?? address)),
    );
  expect(await resolve(cluster, false)).toBe("localhost resolves to an address that may not be asked");
  expect(await resolve(cluster, true)).toBe("localhost resolves to an address that may not be asked");
  expect(await resolve(machine, false)).toMatch(/^(127\.0\.0\.1|::1)$/);
  expect(await resolve(machine, true)).toEqual(expect.arrayContaining([expect.objectContaining({})]));
});
