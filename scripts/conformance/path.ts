import { isIP } from 'node:net'
import { canonicalHost } from '../../src/encoding/host.ts'
import { ConfigurationError } from '../../src/errors/errors.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { matchIdentity, type ReferenceIdentity } from '../../src/trust/identity.ts'
import { findPath } from '../../src/trust/path/build.ts'
import { CLIENT_AUTH, type PathProfile, SERVER_AUTH } from '../../src/trust/path/path.ts'
import { refusalOf as revocationRefusal } from '../../src/trust/revocation/check.ts'
import { CrlSet } from '../../src/trust/revocation/crl-set.ts'
import { DEFAULT_LIMITS } from '../../src/trust/revocation/evidence.ts'
import { DEFAULT_REVOCATION } from '../../src/trust/revocation/policy.ts'
import { DerError } from '../../src/x509/der.ts'
import type { KeyUsage } from '../../src/x509/extensions.ts'
import { certificatesOfPem } from '../../src/x509/pem.ts'
import { type Answer, outcome } from './suite.ts'

/** One chain; certificates are PEM. */
export interface PathCase {
  readonly roots: readonly string[]
  readonly intermediates: readonly string[]
  readonly leaf: string
  /** ISO 8601. */
  readonly time: string
  readonly name: { readonly kind: 'dns' | 'ip' | 'rfc822'; readonly value: string } | null
  /** Names of purposes or OIDs; `[]` is any. */
  readonly eku: readonly string[]
  readonly keyUsage?: readonly KeyUsage[] | null
  /** Most intermediates. */
  readonly maxDepth?: number | null
  readonly policy?: {
    readonly initialPolicySet?: readonly string[]
    readonly explicitPolicy?: boolean
    readonly policyMappingInhibit?: boolean
    readonly inhibitAnyPolicy?: boolean
  } | null
  readonly crls?: readonly string[] | null
}

export function runPathCase(input: unknown, profile: PathProfile): Answer {
  const row = input as PathCase
  const startedAt = performance.now()
  try {
    return outcome(refusalOf(row, profile), startedAt)
  } catch (error) {
    if (error instanceof ConfigurationError) return outcome(error.code, startedAt)
    if (error instanceof DerError) return outcome('ERR_TRUST_CERT_MALFORMED', startedAt)
    throw error
  }
}

function refusalOf(row: PathCase, profile: PathProfile): string | undefined {
  const { policy, keyUsage, maxDepth } = row
  const presented = [row.leaf, ...row.intermediates].flatMap(certificatesOfPem)
  const now = toUnixMs(Date.parse(row.time))
  const lists = (row.crls ?? []).map(crlOfPem)
  const crls = new CrlSet({
    lists,
    certificates: presented,
    now,
    limits: LIMITS,
    crlNumber: profile === 'cabf' ? 'required' : 'optional',
  })
  const result = findPath({
    presented,
    anchors: createAnchors(row.roots),
    now,
    profile,
    ...(lists.length === 0 ? {} : { acceptPath: (path) => revocationRefusal(crls.check(path), path, HARD_FAIL) }),
    extendedKeyUsage: row.eku.map((purpose) => PURPOSES[purpose] ?? purpose),
    ...(keyUsage === undefined || keyUsage === null || keyUsage.length === 0 ? {} : { keyUsage }),
    ...(typeof maxDepth === 'number' ? { maxDepth } : {}),
    ...(policy?.initialPolicySet === undefined ? {} : { initialPolicySet: policy.initialPolicySet }),
    initialExplicitPolicy: policy?.explicitPolicy === true,
    initialPolicyMappingInhibit: policy?.policyMappingInhibit === true,
    initialAnyPolicyInhibit: policy?.inhibitAnyPolicy === true,
  })
  if (result.kind === 'invalid') return result.findings[0]?.code ?? 'ERR_TRUST_UNKNOWN_ISSUER'
  const reference = referenceOf(row.name)
  return reference === undefined ? undefined : matchIdentity(result.path.certificates[0], reference)?.code
}

/** Mailboxes are not what a TLS client asks for: such a case is about constraints alone. */
function referenceOf(name: PathCase['name']): ReferenceIdentity | undefined {
  if (name === null || name.kind === 'rfc822') return undefined
  const host = canonicalHost(name.value) ?? name.value
  return isIP(host) === 0 ? { kind: 'dns', name: host } : { kind: 'ip', address: host }
}

const crlOfPem = (pem: string): Uint8Array =>
  new Uint8Array(Buffer.from(pem.replace(/-----(BEGIN|END) X509 CRL-----/g, ''), 'base64'))

/** RFC 5280 §6.3 knows no age but nextUpdate, and lists of suites are made to last. */
const LIMITS = {
  ...DEFAULT_LIMITS,
  maxAgeMs: Number.POSITIVE_INFINITY,
  maxAgeOfCaMs: Number.POSITIVE_INFINITY,
}
const HARD_FAIL = { ...DEFAULT_REVOCATION, mode: 'hard-fail' } as const

const PURPOSES: Readonly<Record<string, string>> = {
  serverAuth: SERVER_AUTH,
  clientAuth: CLIENT_AUTH,
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  OCSPSigning: '1.3.6.1.5.5.7.3.9',
}
