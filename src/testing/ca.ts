import { type PinText, pinOfSpki } from '../encoding/pin.ts'
import { systemRuntime } from '../ports/system.ts'
import {
  type CertificateExtension,
  encodeName,
  extension,
  type GeneralNameInput,
  type KeyPurpose,
  type KeyUsageName,
  keyIdentifierOf,
  type NameConstraintsInput,
  type NameInput,
} from '../x509/extension-writer.ts'
import {
  type CertificateContent,
  generateCertificate,
  generateKey,
  type KeyPair,
  type KeyType,
  randomSerial,
  type SignatureHash,
} from '../x509/generate.ts'
import { EMBEDDED, precertificate, sctExtension, type TestLog } from './transparency.ts'

/**
 * A certification hierarchy in memory: one root, by default one intermediate, any number of certificates under them.
 * Synchronous; about 2 ms with the default P-256 keys.
 *
 * @example
 * const ca = testCa()
 * const server = ca.issue({ names: ['api.example.com'] })
 * // server.chain is what a TLS server presents, server.pin what a client pins, ca.anchorPem what it trusts.
 */
export function testCa(options: TestCaOptions = {}): TestCa {
  const { name = 'Test', keyType = 'P-256', intermediates: count = 1 } = options
  const shared = { keyType, ca: true, ...(options.now === undefined ? {} : { now: options.now }) }
  const root = selfSigned({ subject: `${name} Root`, ...shared, ...options.root })
  const intermediates: TestCertificate[] = []
  let issuer = root
  for (let number = 1; number <= count; number += 1) {
    const subject = count === 1 ? `${name} Intermediate` : `${name} Intermediate ${number}`
    issuer = issuer.issue({ subject, ...shared, ...options.intermediate })
    intermediates.push(issuer)
  }
  const anchors = [root.der]
  return { root, intermediates, issuer, anchors, anchorPem: root.pem, issue: issuer.issue }
}

/** How the CA looks. */
export interface TestCaOptions {
  /** Start of the subjects: `Test Root`, `Test Intermediate`. Two CAs of one name look alike to name-based linking. */
  readonly name?: string
  /** For root and intermediates. Default P-256. */
  readonly keyType?: KeyType
  /** How many, one below the other. Default 1; with 0 the root issues end entities itself. */
  readonly intermediates?: number
  /** Unix milliseconds around which the default validity periods lie. Default: the machine's clock. */
  readonly now?: number
  readonly root?: IssueOptions
  readonly intermediate?: IssueOptions
}

/** A CA in this process: root, intermediates, and what issues from them. */
export interface TestCa {
  readonly root: TestCertificate
  /** Below the root first. */
  readonly intermediates: readonly TestCertificate[]
  /** The lowest CA: what `issue` issues from. */
  readonly issuer: TestCertificate
  /** DER of the root, alone. */
  readonly anchors: readonly Uint8Array[]
  readonly anchorPem: string
  readonly issue: (options?: IssueOptions) => TestCertificate
}

/** A certificate and the key that belongs to it. Every one can issue, CA bit or not: some tests need the latter. */
export interface TestCertificate extends PresentedCertificate {
  readonly key: KeyPair
  /** Octets of the serial number, big-endian. */
  readonly serial: Uint8Array
  /** PKCS #8. */
  readonly keyPem: string
  /** `undefined` for a self-signed certificate. */
  readonly issuer: TestCertificate | undefined
  /** This certificate and its issuers below the root, end entity first: what a server presents. */
  readonly chain: readonly Uint8Array[]
  /** `chain` and the root. */
  readonly chainWithRoot: readonly Uint8Array[]
  /** What it was made from, so that a variant of it can be made. */
  readonly options: IssueOptions
  readonly issue: (options?: IssueOptions) => TestCertificate
}

/** A certificate as a server shows it, with nothing said about who holds the key. */
export interface PresentedCertificate {
  readonly der: Uint8Array
  readonly pem: string
  /** DER Name. */
  readonly subject: Uint8Array
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  /** `sha256/` pin of the key. */
  readonly pin: PinText
  readonly subjectKeyIdentifier: Uint8Array
}

/** A certificate, in every detail that may be wrong. */
export interface IssueOptions {
  /** DNS names of the SAN. */
  readonly names?: readonly string[]
  /** IP addresses of the SAN. */
  readonly ips?: readonly string[]
  /** Further SAN entries, written as they are. */
  readonly san?: readonly GeneralNameInput[]
  /** Default: a common name, the first of `names` or `ips`. */
  readonly subject?: NameInput
  /** Default P-256; `key` takes an existing key instead. */
  readonly keyType?: KeyType
  readonly key?: KeyPair
  /** Another key in the certificate than the holder's: its SubjectPublicKeyInfo. */
  readonly spki?: Uint8Array
  readonly serial?: Uint8Array
  /** Unix milliseconds around which the default validity lies. Default: the issuer's, else the machine's clock. */
  readonly now?: number
  /** Unix milliseconds. Default a day before `now`. */
  readonly notBefore?: number
  /** Unix milliseconds. Default 90 days after `now`, ten years for a CA. */
  readonly notAfter?: number
  /** Default false. Sets the CA bit, the CA's key usages and leaves extendedKeyUsage out. */
  readonly ca?: boolean
  readonly pathLength?: number
  readonly keyUsage?: readonly KeyUsageName[]
  /** Default serverAuth for an end entity. */
  readonly extendedKeyUsage?: readonly (KeyPurpose | `${number}.${string}`)[]
  readonly nameConstraints?: NameConstraintsInput
  /** Logs of Certificate Transparency whose SCTs the certificate carries. Default none. */
  readonly loggedIn?: readonly TestLog[]
  /** When they saw it, in Unix milliseconds. Default an hour before `now`. */
  readonly loggedAt?: number
  /** Added, or put in place of the default extension with the same OID. */
  readonly extensions?: readonly CertificateExtension[]
  /** OIDs of default extensions to leave out. */
  readonly omit?: readonly string[]
  readonly subjectKeyIdentifier?: Uint8Array
  readonly authorityKeyIdentifier?: Uint8Array
  /** Default: the issuer's subject. */
  readonly issuerName?: NameInput
  /** Hash under the issuer's signature. `'sha1'` is for negative tests. */
  readonly hash?: SignatureHash
  /** `'pss'` for an RSA issuer. */
  readonly padding?: 'pkcs1' | 'pss'
  /** `'garbage'` is well formed and does not verify. */
  readonly signature?: 'genuine' | 'garbage'
}

/** A certificate signed by its own key. */
export function selfSigned(options: IssueOptions = {}): TestCertificate {
  return certificate(options, undefined)
}

/** PEM of one certificate (RFC 7468 §5). */
export function certificatePem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

function certificate(options: IssueOptions, issuer: TestCertificate | undefined): TestCertificate {
  const key = options.key ?? generateKey(options.keyType)
  const spki = options.spki ?? key.spki
  const subject = encodeName(options.subject ?? options.names?.[0] ?? options.ips?.[0] ?? 'Test End Entity')
  const subjectKeyIdentifier = options.subjectKeyIdentifier ?? keyIdentifierOf(spki)
  const now = options.now ?? issuer?.options.now ?? systemRuntime.clock.now()
  const serial = options.serial ?? randomSerial()
  const content = {
    subject,
    issuer: options.issuerName === undefined ? (issuer?.subject ?? subject) : encodeName(options.issuerName),
    notBefore: options.notBefore ?? now - DAY_MS,
    notAfter: options.notAfter ?? now + (options.ca === true ? CA_LIFETIME_MS : END_ENTITY_LIFETIME_MS),
    spki,
    extensions: extensionsOf(options, subjectKeyIdentifier, issuer),
    signer: {
      privateKey: (issuer?.key ?? key).privateKey,
      garbage: options.signature === 'garbage',
      ...(options.hash === undefined ? {} : { hash: options.hash }),
      ...(options.padding === undefined ? {} : { padding: options.padding }),
    },
    serial,
  }
  const der = logged(content, { spki: issuer?.spki ?? spki }, options, now)
  const made: TestCertificate = {
    der,
    pem: certificatePem(der),
    subject,
    spki,
    pin: pinOfSpki(spki),
    subjectKeyIdentifier,
    key,
    serial,
    keyPem: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    issuer,
    chain: issuer === undefined ? [der] : [der, ...(issuer.issuer === undefined ? [] : issuer.chain)],
    chainWithRoot: [der, ...(issuer?.chainWithRoot ?? [])],
    options: { ...options, key, now },
    issue: (below = {}) => certificate(below, made),
  }
  return made
}

/** Logs see the certificate before it has their SCTs. */
function logged(
  content: CertificateContent,
  issuer: { readonly spki: Uint8Array },
  { loggedIn, loggedAt }: IssueOptions,
  now: number,
): Uint8Array {
  const der = generateCertificate(content)
  if (loggedIn === undefined) return der
  const scts = sctExtension(EMBEDDED, loggedIn, precertificate(issuer, { der }), loggedAt ?? now - HOUR_MS)
  return generateCertificate({ ...content, extensions: [...content.extensions, scts] })
}

function extensionsOf(
  options: IssueOptions,
  subjectKeyIdentifier: Uint8Array,
  issuer: TestCertificate | undefined,
): readonly CertificateExtension[] {
  const { names = [], ips = [], san = [], ca = false, nameConstraints, extensions: given = [], omit = [] } = options
  const keyUsage = options.keyUsage ?? (ca ? CA_KEY_USAGE : END_ENTITY_KEY_USAGE)
  const purposes = options.extendedKeyUsage ?? (ca ? [] : ['serverAuth' as const])
  const alternatives = [...names.map((dns) => ({ dns })), ...ips.map((ip) => ({ ip })), ...san]
  const authority = options.authorityKeyIdentifier ?? issuer?.subjectKeyIdentifier
  const defaults = [
    extension.basicConstraints(ca, options.pathLength),
    extension.keyUsage(keyUsage),
    ...(purposes.length === 0 ? [] : [extension.extendedKeyUsage(purposes)]),
    ...(alternatives.length === 0 ? [] : [extension.subjectAltName(alternatives)]),
    ...(nameConstraints === undefined ? [] : [extension.nameConstraints(nameConstraints)]),
    extension.subjectKeyIdentifier(subjectKeyIdentifier),
    ...(authority === undefined ? [] : [extension.authorityKeyIdentifier(authority)]),
  ]
  const replaced = new Set([...omit, ...given.map(({ oid }) => oid)])
  return [...defaults.filter(({ oid }) => !replaced.has(oid)), ...given]
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const END_ENTITY_LIFETIME_MS = 90 * DAY_MS
const CA_LIFETIME_MS = 3650 * DAY_MS
const CA_KEY_USAGE: readonly KeyUsageName[] = ['keyCertSign', 'cRLSign']
const END_ENTITY_KEY_USAGE: readonly KeyUsageName[] = ['digitalSignature', 'keyEncipherment']
