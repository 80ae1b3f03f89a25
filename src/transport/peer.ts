import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

export interface Presented {
  /** DER as sent, end entity first. Empty on a resumed session. */
  readonly certificates: readonly Uint8Array[]
  /** Node's view of the end entity, for the name check that Node would make. */
  readonly endEntity: X509Certificate | undefined
}

/**
 * What a server presented. Call it once per socket, in the `OCSPResponse` event: this view holds all certificates in the
 * order they were sent, and on Node 20 to 24 reading it empties both views for good (nodejs/node#65579). The legacy view
 * holds nothing more, links by name, and costs five times as much, so it is not read.
 */
export function readPresented(socket: TLSSocket): Presented {
  const endEntity = socket.getPeerX509Certificate()
  const certificates: Uint8Array[] = []
  for (let certificate = endEntity; certificate !== undefined; certificate = certificate.issuerCertificate) {
    const { buffer, byteOffset, byteLength } = certificate.raw // a copy already
    certificates.push(new Uint8Array(buffer, byteOffset, byteLength))
    if (certificates.length > MAX_PRESENTED) break // the path search refuses the list by its size
  }
  return { certificates, endEntity }
}

const MAX_PRESENTED = 64 // above every limit on what is judged; stops a list that would never end
