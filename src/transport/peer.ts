import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

/**
 * The certificates a server presented, DER, end entity first. Call it once per socket, in the `OCSPResponse` event: on
 * Node 20 to 24 reading the X509Certificate view empties the legacy view for good (nodejs/node#65579). Empty on a
 * resumed session.
 *
 * The legacy view comes first because it may hold what the other does not; order matters to nobody but the end entity,
 * which both show first, since the path search tries every order.
 */
export function readPresented(socket: TLSSocket): readonly Uint8Array[] {
  const seen = new Map<string, Uint8Array>()
  const legacy: Uint8Array[] = []
  const visited = new Set<object>()
  for (
    let certificate = socket.getPeerCertificate(true);
    certificate?.raw !== undefined && !visited.has(certificate);
    certificate = certificate.issuerCertificate
  ) {
    visited.add(certificate)
    legacy.push(certificate.raw)
  }
  for (
    let certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
    certificate !== undefined;
    certificate = certificate.issuerCertificate
  ) {
    add(seen, certificate.raw)
  }
  for (const raw of legacy) add(seen, raw)
  return [...seen.values()]
}

function add(seen: Map<string, Uint8Array>, raw: Uint8Array): void {
  seen.set(Buffer.from(raw).toString('latin1'), new Uint8Array(raw))
}
