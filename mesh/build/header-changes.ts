import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOption_HeaderAppendAction,
  type HeaderValueOptionSchema,
} from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import type { HeaderChanges } from "../model/route.ts";

interface BuiltHeaders {
  readonly requestHeadersToAdd: MessageInitShape<typeof HeaderValueOptionSchema>[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: MessageInitShape<typeof HeaderValueOptionSchema>[];
  readonly responseHeadersToRemove: string[];
}

/** Envoy's form of a route's or destination's header changes. @see envoy.config.core.v3.HeaderValueOption */
export function buildHeaders({ request, response }: HeaderChanges): BuiltHeaders {
  const option =
    (action: HeaderValueOption_HeaderAppendAction) =>
    ([key, value]: readonly [string, string]) => ({
      header: { key, value },
      appendAction: action,
    });
  const additions = ({ set, add }: HeaderChanges["request"]) => [
    ...set.filter(([name]) => !isHost(name)).map(option(Append.OVERWRITE_IF_EXISTS_OR_ADD)),
    ...add.map(option(Append.APPEND_IF_EXISTS_OR_ADD)),
  ];
  return {
    requestHeadersToAdd: additions(request),
    requestHeadersToRemove: [...request.remove],
    responseHeadersToAdd: additions(response),
    responseHeadersToRemove: [...response.remove],
  };
}

export function hasChanges({ request, response }: HeaderChanges): boolean {
  return [request, response].some(({ set, add, remove }) => set.length + add.length + remove.length > 0);
}

/** A header `Host` that is set: Envoy changes the host by a rewrite of its own, never as a header. */
export function hostRewrite({ request }: HeaderChanges): {
  hostRewriteSpecifier?: { case: "hostRewriteLiteral"; value: string };
} {
  const host = request.set.find(([name]) => isHost(name))?.[1];
  return host === undefined ? {} : { hostRewriteSpecifier: { case: "hostRewriteLiteral", value: host } };
}

function isHost(name: string): boolean {
  return name.toLowerCase() === "host" || name.toLowerCase() === ":authority";
}
