import type { ClientTls as WrittenTls } from "../../api/generated/destinationrules.ts";
import type { ClientTls } from "../model/destination-policy.ts";
import { present } from "./present.ts";
import type { Report } from "./problem.ts";

/** @see networking.istio.io ClientTLSSettings */
export function translateTls(written: WrittenTls, report: Report): ClientTls | undefined {
  const { mode, sni, subjectAltNames } = written;
  const names = { ...(sni && { serverName: sni }), ...(subjectAltNames?.length && { subjectAltNames }) };
  switch (mode) {
    case "ISTIO_MUTUAL":
      return { mode: "istio-mutual", ...names };
    case "SIMPLE":
      return { mode: "simple", ...names, ...serverCheck(written), ...secret(written, report) };
    case "MUTUAL":
      return {
        mode: hasCertificate(written, report) ? "mutual" : "simple",
        ...names,
        ...serverCheck(written),
        ...secret(written, report),
        ...present({
          clientCertificate: written.clientCertificate || undefined,
          privateKey: written.privateKey || undefined,
        }),
      };
    default:
      return { mode: "disable" };
  }
}

function hasCertificate(
  { credentialName, clientCertificate, privateKey }: WrittenTls,
  report: Report,
): boolean {
  if (credentialName || (clientCertificate && privateKey)) return true;
  report.problem(
    clientCertificate ? "privateKey" : "clientCertificate",
    "is missing: MUTUAL needs clientCertificate and privateKey, or credentialName; no certificate is shown",
  );
  return false;
}

function serverCheck({ caCertificates, caCrl, insecureSkipVerify }: WrittenTls) {
  return present({
    caCertificates: caCertificates || undefined,
    caCrl: caCrl || undefined,
    skipVerify: insecureSkipVerify ? true : undefined,
  });
}

function secret({ credentialName, clientCertificate, caCertificates }: WrittenTls, report: Report) {
  if (credentialName && (clientCertificate || caCertificates))
    report.problem("credentialName", "stands beside files, which do not count then");
  return present({ credentialName: credentialName || undefined });
}
