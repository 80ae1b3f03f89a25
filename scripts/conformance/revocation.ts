import { toUnixMs, type UnixMs } from '../../src/ports/runtime.ts'
import { readCrl } from '../../src/trust/revocation/crl.ts'
import {
  DEFAULT_LIMITS,
  type Evidence,
  EvidenceError,
  type EvidenceLimits,
} from '../../src/trust/revocation/evidence.ts'
import { judgeCrl } from '../../src/trust/revocation/judge-crl.ts'
import { verifyOcspResponse } from '../../src/trust/revocation/ocsp.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import { CrlScanner } from '../../src/x509/crl-scanner.ts'
import { DerError } from '../../src/x509/der.ts'
import { parseOcspResponse } from '../../src/x509/ocsp-response.ts'
import { type Answer, outcome } from './suite.ts'

/** One statement about one certificate; binary members are base64 of DER. */
export interface RevocationCase {
  readonly kind: 'ocsp' | 'crl' | 'crl-parse'
  readonly response?: string
  readonly crl?: string
  readonly cert?: string
  readonly issuer?: string
  /** In place of the above, as the BoringSSL files have it. */
  readonly pem?: readonly { readonly label: string; readonly base64: string }[]
  /** ISO 8601, or `producedAt + N s`. */
  readonly now: string
  readonly options?: {
    readonly maxAgeDays?: number
    readonly allowSha1?: boolean
    readonly minRsaBits?: number
    readonly skewMs?: number
    /** base64 */
    readonly nonce?: string
    readonly requireNonce?: boolean
  }
}

export interface RevocationAnswer extends Answer {
  readonly status: 'good' | 'revoked' | 'unknown'
}

export function runRevocationCase(input: unknown): RevocationAnswer {
  const row = input as RevocationCase
  const startedAt = performance.now()
  const evidence = evidenceOf(row)
  if (evidence.status === 'undetermined') return { ...outcome(evidence.code, startedAt), status: 'unknown' }
  const answer = outcome(evidence.status === 'good' ? undefined : CODES[evidence.status], startedAt)
  return { ...answer, status: evidence.status }
}

/** @param expected A status, a code without its prefix, or `accept` and `reject`. */
export function isAsExpected(expected: string, { status, result, code }: RevocationAnswer): boolean {
  if (expected === 'accept') return result === 'pass'
  if (expected === 'reject') return result === 'fail'
  if (expected === 'good' || expected === 'revoked' || expected === 'unknown') return status === expected
  return code === `ERR_TRUST_${expected}`
}

function evidenceOf(row: RevocationCase): Evidence {
  try {
    if (row.kind === 'crl-parse') return parsed(bytesOf(row.crl))
    const certificate = parseCertificate(bytesOf(row.cert ?? labelled(row, 'CERTIFICATE')))
    const issuer = parseCertificate(bytesOf(row.issuer ?? labelled(row, 'CA CERTIFICATE')))
    const limits = limitsOf(row)
    if (row.kind === 'crl') {
      const now = toUnixMs(Date.parse(row.now))
      return judgeCrl({ crl: readCrl(bytesOf(row.crl), issuer, limits), certificate, now, limits })
    }
    const response = bytesOf(row.response ?? labelled(row, 'OCSP RESPONSE'))
    const { nonce, requireNonce = false } = row.options ?? {}
    return verifyOcspResponse({
      response,
      certificate,
      issuer,
      now: instantOf(row.now, response),
      limits,
      ...(nonce === undefined ? {} : { nonce: { value: bytesOf(nonce), required: requireNonce } }),
    })
  } catch (error) {
    if (error instanceof EvidenceError) return { status: 'undetermined', code: error.code, message: error.message }
    if (error instanceof DerError) return { status: 'undetermined', code: MALFORMED[row.kind], message: error.message }
    throw error
  }
}

/** Whether the list can be read, whoever signed it and whatever it is about. */
function parsed(der: Uint8Array): Evidence {
  const scanner = new CrlScanner({ onHeader: () => {}, onEntry: () => {}, onSigned: () => {} })
  scanner.write(der)
  scanner.end()
  return { status: 'good', thisUpdate: 0, validUntil: 0 }
}

function limitsOf({ options = {} }: RevocationCase): EvidenceLimits {
  const { maxAgeDays, allowSha1, minRsaBits, skewMs } = options
  return {
    ...DEFAULT_LIMITS,
    ...(maxAgeDays === undefined ? {} : { maxAgeMs: maxAgeDays * 86_400_000 }),
    ...(allowSha1 === true ? { allowSha1 } : {}),
    ...(minRsaBits === undefined ? {} : { minRsaBits }),
    ...(skewMs === undefined ? {} : { clockSkewMs: skewMs }),
  }
}

/** A response that cannot be read has no time: any will do. */
function instantOf(text: string, response: Uint8Array): UnixMs {
  const relative = /^producedAt \+ (\d+) s$/.exec(text)
  if (relative === null) return toUnixMs(Date.parse(text))
  const parsedResponse = parseOcspResponse(response)
  const producedAt = parsedResponse.kind === 'basic' ? parsedResponse.producedAt : 0
  return toUnixMs(producedAt + Number(relative[1]) * 1_000)
}

const labelled = ({ pem = [] }: RevocationCase, label: string): string =>
  pem.find((block) => block.label === label)?.base64 ?? ''

const bytesOf = (base64: string | undefined): Uint8Array => new Uint8Array(Buffer.from(base64 ?? '', 'base64'))

const CODES = { revoked: 'ERR_TRUST_CERT_REVOKED', unknown: 'ERR_TRUST_OCSP_UNKNOWN' } as const
const MALFORMED = {
  ocsp: 'ERR_TRUST_OCSP_MALFORMED',
  crl: 'ERR_TRUST_CRL_MALFORMED',
  'crl-parse': 'ERR_TRUST_CRL_MALFORMED',
} as const
