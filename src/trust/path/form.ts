import type { Finding } from '../../errors/errors.ts'
import type { Certificate } from '../../x509/certificate.ts'
import { EXTENSION } from '../../x509/extensions.ts'
import { describe } from './describe.ts'
import { SERVER_AUTH } from './path.ts'
import type { Role } from './rules.ts'

/**
 * The form rules of the CA/Browser Forum's Baseline Requirements (BR §7.1) and of RFC 5280 §4 that no attack is known
 * to rest on. Profile `cabf` alone applies them: much of the private web breaks one or the other.
 */
export function checkForm(
  certificate: Certificate,
  role: Role,
  extendedKeyUsage: readonly string[],
  index: number,
): Finding | undefined {
  const problem =
    role === 'anchor'
      ? isLegacyRoot(certificate)
        ? undefined
        : rootProblem(certificate)
      : (commonProblem(certificate) ??
        (role === 'intermediate'
          ? intermediateProblem(certificate)
          : endEntityProblem(certificate, extendedKeyUsage.includes(SERVER_AUTH))))
  if (problem === undefined) return undefined
  return { code: 'ERR_TRUST_CERT_FORM', certificateIndex: index, message: `${describe(certificate)}: ${problem}` }
}

/**
 * Roots from before the Baseline Requirements took effect do not follow them, and the root programmes ship some to this
 * day. A date before X.509 version 3 existed is nobody's date of issue and excuses nothing.
 */
function isLegacyRoot({ notBefore }: Certificate): boolean {
  return notBefore >= VERSION_3_PUBLISHED && notBefore < REQUIREMENTS_EFFECTIVE
}

function rootProblem(certificate: Certificate): string | undefined {
  const { decoded, keyInfo, isSelfIssued } = certificate
  const { subjectKeyIdentifier, authorityKeyIdentifier, extendedKeyUsage } = decoded
  if (criticality(certificate, 'basicConstraints') !== true) return 'basicConstraints is not critical' // §7.1.2.1.4
  if (subjectKeyIdentifier === undefined) return 'a CA certificate without subjectKeyIdentifier' // §7.1.2.1.2
  if (criticality(certificate, 'subjectKeyIdentifier') === true) return 'subjectKeyIdentifier is critical'
  if (extendedKeyUsage !== undefined) return 'a root certificate with extendedKeyUsage' // §7.1.2.1.2
  if (authorityKeyIdentifier !== undefined) {
    // §7.1.2.1.3
    const { keyIdentifier, namesIssuerAndSerial } = authorityKeyIdentifier
    if (criticality(certificate, 'authorityKeyIdentifier') === true) return 'authorityKeyIdentifier is critical'
    if (namesIssuerAndSerial) return 'authorityKeyIdentifier names issuer or serial number'
    if (keyIdentifier === undefined) return 'authorityKeyIdentifier without keyIdentifier'
    if (isSelfIssued && Buffer.compare(keyIdentifier, subjectKeyIdentifier) !== 0) {
      return 'authorityKeyIdentifier of a root differs from its subjectKeyIdentifier'
    }
  }
  return modulusProblem(keyInfo) ?? constraintProblem(decoded)
}

function commonProblem(certificate: Certificate): string | undefined {
  const { decoded, keyInfo, serialNumber } = certificate
  if (serialNumber.length > 20) return 'the serial number is longer than 20 octets' // RFC 5280 §4.1.2.2
  if (serialNumber.every((octet) => octet === 0)) return 'the serial number is not positive'
  if (decoded.authorityKeyIdentifier?.keyIdentifier === undefined) return 'authorityKeyIdentifier is missing' // §4.2.1.1
  for (const name of ['authorityKeyIdentifier', 'subjectKeyIdentifier'] as const) {
    if (criticality(certificate, name) === true) return `${name} is critical`
  }
  return modulusProblem(keyInfo)
}

function intermediateProblem(certificate: Certificate): string | undefined {
  const { decoded } = certificate
  if (decoded.subjectKeyIdentifier === undefined) return 'a CA certificate without subjectKeyIdentifier' // §4.2.1.2
  if (criticality(certificate, 'basicConstraints') !== true) return 'basicConstraints is not critical' // §4.2.1.9
  if (decoded.keyUsage === undefined) return 'a CA certificate without keyUsage' // §4.2.1.3
  if (criticality(certificate, 'policyConstraints') === false) return 'policyConstraints is not critical' // §4.2.1.11
  return constraintProblem(decoded)
}

function endEntityProblem(certificate: Certificate, isServer: boolean): string | undefined {
  const { decoded, subject } = certificate
  if (decoded.nameConstraints !== undefined) return 'nameConstraints outside a CA certificate' // RFC 5280 §4.2.1.10
  const nameIsCritical = criticality(certificate, 'subjectAltName')
  if (nameIsCritical !== true && subject.isEmpty) return 'no critical subjectAltName though the subject is empty' // §4.1.2.6
  if (!isServer) return undefined
  if (nameIsCritical === true && !subject.isEmpty) return 'subjectAltName is critical though there is a subject' // BR §7.1.2.7.12
  if (decoded.extendedKeyUsage === undefined) return 'a server certificate without extendedKeyUsage' // BR §7.1.2.7.6
  if (criticality(certificate, 'extendedKeyUsage') === true) return 'extendedKeyUsage is critical' // BR §7.1.2.7.6
  if (decoded.extendedKeyUsage.includes('2.5.29.37.0')) return 'extendedKeyUsage holds anyExtendedKeyUsage' // BR §7.1.2.7.10
  const isOdd = decoded.subjectAltName?.some((name) => name.kind === 'dns' && !PREFERRED_NAME.test(name.text))
  return isOdd ? 'a dNSName is not in preferred name syntax' : undefined // §4.2.1.6
}

/** `undefined` for an extension that is not there. */
const criticality = ({ extensions }: Certificate, name: keyof typeof EXTENSION): boolean | undefined =>
  extensions.get(EXTENSION[name])?.critical

const modulusProblem = ({ kind, bits }: Certificate['keyInfo']): string | undefined =>
  (kind === 'rsa' || kind === 'rsa-pss') && bits % 8 !== 0 ? `RSA of ${bits} bits, not a multiple of 8` : undefined // BR §6.1.5

/** RFC 5280 §4.2.1.10 gives dNSName constraints no leading dot. */
function constraintProblem({ nameConstraints }: Certificate['decoded']): string | undefined {
  if (nameConstraints === undefined) return undefined
  const bases = [...nameConstraints.permitted, ...nameConstraints.excluded]
  const isDotted = bases.some((base) => base.kind === 'dns' && base.text.startsWith('.'))
  return isDotted ? 'a dNSName constraint starts with a dot' : undefined
}

const PREFERRED_NAME =
  /^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/

const VERSION_3_PUBLISHED = Date.UTC(1996, 5, 30) // ITU-T X.509, third edition
const REQUIREMENTS_EFFECTIVE = Date.UTC(2012, 6, 1) // Baseline Requirements 1.0
