import type { Finding } from '../../errors/errors.ts'
import type { UnixMs } from '../../ports/runtime.ts'
import { type Certificate, encodingFlawOf } from '../../x509/certificate.ts'
import { EXTENSION, type KeyUsage } from '../../x509/extensions.ts'
import { describe } from './describe.ts'
import { checkForm } from './form.ts'
import type { PathProfile } from './path.ts'
import { checkKey, checkKeyIsUsable, checkSignatureAlgorithm } from './signature.ts'

/** Where a certificate stands on a path. `trustedEndEntity` is an end entity that is, byte for byte, an anchor. */
export type Role = 'endEntity' | 'trustedEndEntity' | 'intermediate' | 'anchor'

export interface RuleContext {
  readonly now: UnixMs
  readonly profile: PathProfile
  readonly extendedKeyUsage: readonly string[]
  readonly keyUsage: readonly KeyUsage[]
}

/**
 * The rules that look at one certificate and its place alone (RFC 5280 §6.1.3, §6.1.4, §6.1.5 but for signature, names
 * and policies). Anchors obey them too: an operator who installs a constrained or dated root means the constraint.
 */
export function checkCertificate(
  certificate: Certificate,
  role: Role,
  context: RuleContext,
  index: number,
): Finding | undefined {
  return (
    checkEncoding(certificate, index) ??
    checkVersion(certificate, role, index) ??
    checkValidity(certificate, context.now, index) ??
    checkCriticalExtensions(certificate, index) ??
    (isIssuer(role) ? checkIssuer(certificate, role, index) : checkEndEntity(certificate, role, context, index)) ??
    checkExtendedKeyUsage(certificate, role, context.extendedKeyUsage, index) ??
    checkKey(certificate, index) ??
    (isIssuer(role) ? checkKeyIsUsable(certificate, index) : undefined) ??
    (role === 'endEntity' || role === 'intermediate' ? checkSignatureAlgorithm(certificate, index) : undefined) ??
    (context.profile === 'cabf' ? checkForm(certificate, role, context.extendedKeyUsage, index) : undefined)
  )
}

/** What the reader lets pass for the sake of revocation, a path does not: two readers could see two certificates. */
function checkEncoding(certificate: Certificate, index: number): Finding | undefined {
  const flaw = encodingFlawOf(certificate)
  if (flaw === undefined) return undefined
  return {
    code: 'ERR_TRUST_CERT_MALFORMED',
    certificateIndex: index,
    message: `certificate ${index} is not a certificate in DER: ${flaw}`,
  }
}

/** RFC 5280 §6.1.4 (k): only version 3 can say that it is a CA. For an anchor the operator has said it already. */
function checkVersion(certificate: Certificate, role: Role, index: number): Finding | undefined {
  if (certificate.version === 3 || (role === 'anchor' && certificate.version === 1)) return undefined
  return {
    code: 'ERR_TRUST_CERT_VERSION',
    certificateIndex: index,
    message: `${describe(certificate)}: expected an X.509 version 3 certificate, saw version ${certificate.version}`,
  }
}

/** RFC 5280 §4.1.2.5: both ends included, and in whole seconds, for certificates know no others. */
function checkValidity(certificate: Certificate, now: UnixMs, index: number): Finding | undefined {
  const second = Math.floor(now / 1000) * 1000
  const { notBefore, notAfter } = certificate
  if (second < notBefore) {
    return {
      code: 'ERR_TRUST_CERT_NOT_YET_VALID',
      certificateIndex: index,
      message: `${describe(certificate)}: not valid before ${isoOf(notBefore)}, now ${isoOf(second)}`,
    }
  }
  if (second > notAfter) {
    return {
      code: 'ERR_TRUST_CERT_EXPIRED',
      certificateIndex: index,
      message: `${describe(certificate)}: expired at ${isoOf(notAfter)}, now ${isoOf(second)}`,
    }
  }
  return undefined
}

/** RFC 5280 §6.1.4 (o), §6.1.5 (f): what is critical and not understood refuses the certificate. */
function checkCriticalExtensions(certificate: Certificate, index: number): Finding | undefined {
  for (const { oid, critical } of certificate.extensions.values()) {
    const poison = oid === EXTENSION.precertificatePoison // RFC 6962 §3.1: not a certificate, critical or not
    if (!poison && (!critical || PROCESSED.has(oid))) continue
    return {
      code: 'ERR_TRUST_CRITICAL_EXTENSION',
      certificateIndex: index,
      message: poison
        ? `${describe(certificate)}: is a precertificate (extension ${oid}), not a certificate`
        : `${describe(certificate)}: critical extension ${oid} is not understood`,
    }
  }
  return undefined
}

function checkIssuer(certificate: Certificate, role: Role, index: number): Finding | undefined {
  const { basicConstraints, keyUsage } = certificate.decoded
  const knownOutOfBand = role === 'anchor' && certificate.version === 1 // RFC 5280 §6.1.4 (k)
  if (basicConstraints?.ca !== true && !knownOutOfBand) {
    return {
      code: 'ERR_TRUST_NOT_A_CA',
      certificateIndex: index,
      message: `${describe(certificate)}: expected a CA certificate, saw ${basicConstraints === undefined ? 'no basicConstraints' : 'basicConstraints without cA'}`,
    }
  }
  if (certificate.subject.isEmpty) {
    // RFC 5280 §4.1.2.6. An empty name would link to every certificate with an empty issuer.
    return {
      code: 'ERR_TRUST_CERT_MALFORMED',
      certificateIndex: index,
      message: `${describe(certificate)}: a CA certificate must have a subject`,
    }
  }
  if (keyUsage !== undefined && !keyUsage.has('keyCertSign')) {
    // RFC 5280 §6.1.4 (n)
    return {
      code: 'ERR_TRUST_KEY_USAGE',
      certificateIndex: index,
      message: `${describe(certificate)}: expected keyUsage keyCertSign on a CA, saw ${listOf(keyUsage)}`,
    }
  }
  return undefined
}

function checkEndEntity(
  certificate: Certificate,
  role: Role,
  { profile, keyUsage: required }: RuleContext,
  index: number,
): Finding | undefined {
  const { basicConstraints, keyUsage } = certificate.decoded
  if (certificate.issuer.isEmpty) {
    return {
      code: 'ERR_TRUST_CERT_MALFORMED',
      certificateIndex: index,
      message: `${describe(certificate)}: the issuer name is empty`, // RFC 5280 §4.1.2.4
    }
  }
  // A CA's key on a server means that whoever breaks into it can mint certificates; RFC 5280 alone would allow it.
  if (role === 'endEntity' && profile !== 'rfc5280' && basicConstraints?.ca === true) {
    return {
      code: 'ERR_TRUST_CA_AS_END_ENTITY',
      certificateIndex: index,
      message: `${describe(certificate)}: expected an end entity, saw a CA certificate that is not itself an anchor`,
    }
  }
  if (role === 'endEntity' && basicConstraints?.ca !== true && keyUsage?.has('keyCertSign') === true) {
    // RFC 5280 §4.2.1.9: without cA the bit must not be set
    return {
      code: 'ERR_TRUST_KEY_USAGE',
      certificateIndex: index,
      message: `${describe(certificate)}: keyUsage keyCertSign on a certificate that is not a CA`,
    }
  }
  if (keyUsage !== undefined && !required.every((usage) => keyUsage.has(usage))) {
    return {
      code: 'ERR_TRUST_KEY_USAGE',
      certificateIndex: index,
      message: `${describe(certificate)}: expected keyUsage ${required.join(', ')}, saw ${listOf(keyUsage)}`,
    }
  }
  return undefined
}

/**
 * RFC 5280 §4.2.1.12, nested as every browser does: a CA limited to other purposes cannot issue for this one.
 * `anyExtendedKeyUsage` widens a CA; on an end entity it is too vague to be served under (OpenSSL agrees).
 */
function checkExtendedKeyUsage(
  certificate: Certificate,
  role: Role,
  required: readonly string[],
  index: number,
): Finding | undefined {
  const allowed = certificate.decoded.extendedKeyUsage
  if (allowed === undefined) return undefined
  if (isIssuer(role) && allowed.includes(ANY_EXTENDED_KEY_USAGE)) return undefined
  const missing = required.find((purpose) => !allowed.includes(purpose))
  if (missing === undefined) return undefined
  return {
    code: 'ERR_TRUST_EXTENDED_KEY_USAGE',
    certificateIndex: index,
    message: `${describe(certificate)}: expected extendedKeyUsage ${missing}, saw ${allowed.slice(0, 8).join(', ')}`,
  }
}

const isIssuer = (role: Role): boolean => role === 'intermediate' || role === 'anchor'

const listOf = (usages: ReadonlySet<KeyUsage>): string => (usages.size === 0 ? 'none' : [...usages].join(', '))

const isoOf = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z')

const ANY_EXTENDED_KEY_USAGE = '2.5.29.37.0'

/** Extensions whose meaning is enforced here or by trust/revocation/ (distribution points), or that only help the search. */
const PROCESSED: ReadonlySet<string> = new Set([
  EXTENSION.basicConstraints,
  EXTENSION.keyUsage,
  EXTENSION.extendedKeyUsage,
  EXTENSION.subjectAltName,
  EXTENSION.nameConstraints,
  EXTENSION.certificatePolicies,
  EXTENSION.policyMappings,
  EXTENSION.policyConstraints,
  EXTENSION.inhibitAnyPolicy,
  EXTENSION.cRLDistributionPoints,
  EXTENSION.subjectKeyIdentifier,
  EXTENSION.authorityKeyIdentifier,
])
