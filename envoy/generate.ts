/**
 * Writes `envoy/generated/` from the two descriptor sources of this folder.
 *
 * `envoy.binpb` is Envoy 1.40's own API, dumped from the Go module go-control-plane/envoy v1.40.0 by
 * `tools/fds` (Go is needed only to refresh it). `istio/` holds the one service of Istio's that is not
 * in it: the certificate service that agents call.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname;
const out = join(here, "generated");
const bin = join(here, "..", "node_modules", ".bin");

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

/** Runs protoc with protoc-gen-es over one source of descriptors. */
function generate(source: string[]): void {
  execFileSync(
    join(bin, "protoc"),
    [
      `--plugin=protoc-gen-es=${join(bin, "protoc-gen-es")}`,
      `--es_out=${out}`,
      "--es_opt=target=js+dts,import_extension=js",
      ...source,
    ],
    { stdio: "inherit" },
  );
}

const { fromBinary } = await import("@bufbuild/protobuf");
const { FileDescriptorSetSchema } = await import("@bufbuild/protobuf/wkt");
const { readFileSync } = await import("node:fs");
const set = fromBinary(FileDescriptorSetSchema, readFileSync(join(here, "envoy.binpb")));
const names = set.file.map((file) => file.name).filter((name) => !name.startsWith("google/protobuf/"));
generate([`--descriptor_set_in=${join(here, "envoy.binpb")}`, ...names]);
generate([`--proto_path=${here}`, "istio/ca.proto"]);
