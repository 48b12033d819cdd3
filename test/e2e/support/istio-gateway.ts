/** Objects of a gateway by Istio's API, and requests to it. */
import { request } from "node:http";
import { type Echo, type Manifest, makeCertificate, type Reply, replyTo } from "./gateway-world.ts";

export const shop = makeCertificate("shop.example.com");
export const books = makeCertificate("books.example.com");
export const raw = makeCertificate("raw.example.com");

/** Of the gateway's pods. */
export const labels = { istio: "ingressgateway" };

/** A Gateway of the pods with `labels`. */
export function gateway(name: string, servers: readonly object[]): Manifest {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "Gateway",
    metadata: { name, namespace: "demo", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { selector: labels, servers },
  };
}

export function virtualService(name: string, spec: object): Manifest {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name, namespace: "demo" },
    spec,
  };
}

/** A server of HTTPS on 8443. */
export const https = (host: string, credentialName: string, more = {}) => ({
  port: { number: 8443, name: `https-${host.split(".")[0]}`, protocol: "HTTPS" },
  hosts: [host],
  tls: { mode: "SIMPLE", credentialName, ...more },
});

export function ask(ip: string, port: number, host: string, path = "/", headers = {}): Promise<Reply> {
  const target = { host: ip, port, path, agent: false, headers: { host, ...headers } };
  return replyTo((answered) => request(target, answered));
}

/** Which service answered. */
export const from = ({ body }: Reply): string => (JSON.parse(body) as Echo).from;
