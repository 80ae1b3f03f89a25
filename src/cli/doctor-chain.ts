import type { CertificationPath } from '../trust/path/path.ts'
import { type Placed, placeAll } from './chain.ts'
import type { Diagnosis } from './doctor.ts'
import { printable } from './io.ts'
import { counted, dateOf, fromNow, keyText } from './text.ts'

/** Pure: what a certificate is, and whether that of the server ends soon. Of one that lives for days, a third is soon. */
export function examineExpiry({ certificate, position }: Placed, now: number): Diagnosis {
  const { subject, notBefore, notAfter, keyInfo, signatureAlgorithm, decoded } = certificate
  const facts = `${keyText(keyInfo)}, ${signatureAlgorithm.name}, until ${dateOf(notAfter)} (${fromNow(notAfter, now)})`
  const names = (decoded.subjectAltName ?? []).flatMap((name) => (name.kind === 'dns' ? [printable(name.text)] : []))
  const message = position === 'end entity' && names.length > 0 ? `${facts}, names ${names.join(', ')}` : facts
  const isSoon = position === 'end entity' && notAfter - now < Math.min(RENEW_MS, (notAfter - notBefore) / 3)
  const line = { id: 'SERVER-EXPIRY', subject: `${position} ${subject.text}`, message } as const
  if (!isSoon) return { ...line, severity: 'info' }
  return { ...line, severity: 'warning', fix: 'Is the renewal under way, and the new key pinned?' }
}

/** Pure: whether the server sends what a client needs and nothing else, each certificate before its issuer (RFC 8446 §4.4.2). */
export function examineChain(
  presented: readonly Uint8Array[],
  path: CertificationPath | undefined,
): readonly Diagnosis[] {
  if (path === undefined) return [] // what is missing from it, the findings say
  const id = 'SERVER-CHAIN'
  const subject = 'chain as sent'
  const surplus = placeAll(presented, path).filter(({ position }) => position === 'not on the path')
  if (surplus.length > 0) {
    const named = surplus.map(({ certificate }) => certificate.subject.text).join('; ')
    const message = `${counted(surplus.length, 'certificate')} beside the path: ${named}`
    return [
      {
        id,
        severity: 'warning',
        subject,
        message,
        fix: 'Have the server send its path alone: the rest costs each client.',
      },
    ]
  }
  const sent = placeAll(presented, undefined).map(({ certificate }) => certificate.sha256)
  const wanted = path.certificates.map(({ sha256 }) => sha256).filter((sha256) => sent.includes(sha256))
  if (wanted.some((sha256, index) => sha256 !== sent[index])) {
    const message = 'not in the order of the path'
    return [
      { id, severity: 'warning', subject, message, fix: 'Sort it: each certificate before the one that issued it.' },
    ]
  }
  const anchor = path.certificates.at(-1)?.sha256
  const withAnchor = path.certificates.length > 1 && anchor !== undefined && sent.includes(anchor)
  const message = withAnchor ? 'the path in order, and the trust anchor, which nobody needs' : 'the path, in order'
  return [{ id, severity: withAnchor ? 'info' : 'ok', subject, message }]
}

const RENEW_MS = 14 * 86_400_000
