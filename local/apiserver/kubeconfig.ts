import type { Connection } from "../../kube/contract.ts";
import type { KeyPair } from "./pki/keyring.ts";

/** A kubeconfig (YAML) with one context, `fairlead`, for the holder of `admin`. */
export function kubeconfigText(url: string, ca: string, admin: KeyPair): string {
  const base64 = (pem: string) => Buffer.from(pem).toString("base64");
  return `apiVersion: v1
kind: Config
clusters:
- name: fairlead
  cluster:
    server: ${url}
    certificate-authority-data: ${base64(ca)}
users:
- name: fairlead-admin
  user:
    client-certificate-data: ${base64(admin.certificate)}
    client-key-data: ${base64(admin.key)}
contexts:
- name: fairlead
  context:
    cluster: fairlead
    user: fairlead-admin
    namespace: default
current-context: fairlead
`;
}

/** How this program's own rooms reach the server, as administrator. */
export function adminConnection(url: string, ca: string, { certificate, key }: KeyPair): Connection {
  return { url, ca, certificate, key };
}
