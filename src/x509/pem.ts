import { decodeBase64 } from '../encoding/base64.ts'
import { DerError } from './der.ts'

/**
 * The certificates of a PEM text (RFC 7468 §5.1), in order. Text between blocks is skipped, as bundles carry comments;
 * a block of another label is refused, so that a key pasted into the wrong option is noticed and not half read.
 *
 * @throws DerError when a block is cut short, is no base64, or is not a certificate. Block numbers start at 1.
 */
export function certificatesOfPem(text: string): readonly Uint8Array[] {
  const certificates: Uint8Array[] = []
  let label: string | undefined
  let body = ''
  for (const line of text.split(/\r\n|\n|\r/)) {
    const boundary = BOUNDARY.exec(line.trim())
    const [, edge, name] = boundary ?? []
    const place = `block ${certificates.length + 1}`
    if (edge === 'BEGIN') {
      if (label !== undefined) throw new DerError(`${place} begins inside another`)
      if (name !== 'CERTIFICATE') throw new DerError(`${place} is no certificate`)
      label = name
      body = ''
    } else if (edge === 'END') {
      if (name !== label) throw new DerError(`${place} ends without its beginning`)
      const der = decodeBase64(body)
      if (der === undefined || der.length === 0) throw new DerError(`${place} is not base64`)
      certificates.push(der)
      label = undefined
    } else if (label !== undefined) body += line.trim()
  }
  if (label !== undefined) throw new DerError(`block ${certificates.length + 1} has no end`)
  return certificates
}

/** One certificate in RFC 7468 §5.1 form. */
export function pemOf(der: Uint8Array): string {
  const body = Buffer.from(der)
    .toString('base64')
    .replace(/.{64}(?!$)/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`
}

const BOUNDARY = /^-----(BEGIN|END) ([^-]*)-----$/
