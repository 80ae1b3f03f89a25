import { pinOfSpki } from '../../encoding/pin.ts'
import type { ErrorCode } from '../../errors/codes.ts'
import type { HandshakeEvent } from '../../events/handshake.ts'
import { parseCertificate } from '../../x509/certificate.ts'
import { DerError } from '../../x509/der.ts'
import { pemOf } from '../../x509/pem.ts'
import { endpointOf } from './record.ts'
import type { Violation } from './reports.ts'

/** The keys are not those that were agreed on, whether that was enforced or reported. */
export function isPinViolation(event: HandshakeEvent): event is Violation {
  return event.code !== undefined && event.presented.length > 0 && PIN_CODES.has(event.code)
}

/**
 * The members of RFC 7469 §3. The pattern that covers a host is no part of a handshake: the host itself is the noted one, without its
 * subdomains. An anchor that was not presented is missing from the validated chain.
 *
 * @param expiresAt When the pins end; without it the member is left out.
 */
export function pinViolationReport(event: Violation, expiresAt: number | undefined): PinViolationReport {
  const { host, at, presented, chain, pins } = event
  const { host: hostname, port } = endpointOf(host)
  const served = presented.slice(0, MAX_CHAIN)
  return {
    'date-time': new Date(at).toISOString(),
    hostname,
    port,
    ...(expiresAt === undefined ? {} : { 'effective-expiration-date': new Date(expiresAt).toISOString() }),
    'include-subdomains': false,
    'noted-hostname': hostname,
    'served-certificate-chain': served.map(pemOf),
    'validated-certificate-chain': chain.flatMap(({ spki }) =>
      served
        .filter((der) => pinOf(der) === spki)
        .slice(0, 1)
        .map(pemOf),
    ),
    'known-pins': pins.considered.slice(0, MAX_PINS).map((pin) => pin.replace(/^(sha\d+)\/(.*)$/, 'pin-$1="$2"')),
  }
}

export interface PinViolationReport {
  readonly 'date-time': string
  readonly hostname: string
  readonly port: number
  readonly 'effective-expiration-date'?: string
  readonly 'include-subdomains': boolean
  readonly 'noted-hostname': string
  readonly 'served-certificate-chain': readonly string[]
  readonly 'validated-certificate-chain': readonly string[]
  readonly 'known-pins': readonly string[]
}

function pinOf(der: Uint8Array): string | undefined {
  try {
    return pinOfSpki(parseCertificate(der).spki)
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

const PIN_CODES: ReadonlySet<ErrorCode> = new Set([
  'ERR_TRUST_PIN_MISMATCH',
  'ERR_TRUST_PIN_DENIED',
  'ERR_TRUST_INTERCEPTION',
  'ERR_TRUST_CA_DISTRUSTED',
] satisfies ErrorCode[])
const MAX_CHAIN = 20
const MAX_PINS = 50
