import type { Headers, HeaderOperations as WrittenOperations } from "../../api/generated/virtualservices.ts";
import type { HeaderChanges, HeaderOperations } from "../model/route.ts";

/** @see networking.istio.io Headers */
export function translateHeaders(headers: Headers | undefined): HeaderChanges {
  return { request: translateOperations(headers?.request), response: translateOperations(headers?.response) };
}

function translateOperations(operations: WrittenOperations | undefined): HeaderOperations {
  return {
    set: Object.entries(operations?.set ?? {}),
    add: Object.entries(operations?.add ?? {}),
    remove: operations?.remove ?? [],
  };
}
