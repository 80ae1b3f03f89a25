import type { Certificate } from '../../x509/certificate.ts'

/** A certificate's subject for a message: RFC 4514 text without control characters, cut where a peer would flood a log. */
export function describe(certificate: Certificate): string {
  const { text } = certificate.subject
  if (text === '') return `serial ${Buffer.from(certificate.serialNumber).toString('hex').slice(0, 40)}`
  return shorten(text)
}

export function shorten(text: string): string {
  const cut = OVERLONG.exec(text)?.[0]
  return cut === undefined ? text : `${cut}…`
}

const OVERLONG = /.{120}(?=.)/su // 120 characters, where more follow
