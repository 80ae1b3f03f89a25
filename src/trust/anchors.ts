import { hash } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { ConfigurationError } from '../errors/errors.ts'
import { type Certificate, encodingFlawOf, parseCertificate, subjectKeyOf } from '../x509/certificate.ts'
import { DerError } from '../x509/der.ts'
import { certificatesOfPem, pemOf } from '../x509/pem.ts'
import { isSignedBy } from './path/signature.ts'

/** The certificates a path may end in. Immutable; what is not in it is trusted by nobody. */
export interface AnchorSet {
  readonly size: number
  /** One PEM text per anchor: what a TLS SecureContext takes as `ca`, so that both verdicts start from one list. */
  readonly pem: readonly string[]
  /** SHA-256 over the sorted digests: equal for equal sets, whatever the order they were given in. */
  readonly digest: string
  /** Anchors whose subject has this comparison key (`DistinguishedName.key`). */
  withSubject(key: string): readonly Certificate[]
  /** Whether a certificate is, byte for byte, one of the anchors. `sha256` as in `Certificate`. */
  has(sha256: string): boolean
  /**
   * Whether the anchor issues for everybody, and so has to log what it issues: its key is that of a root which Node ships, or it
   * came from a store of such. What an application or a manifest brings along is private.
   */
  isPublic(anchor: Certificate): boolean
}

/** PEM text with one or more certificates, or the bytes of a PEM or DER file. */
export type CertificateSource = string | Uint8Array

/**
 * Reads trust anchors. All of them are parsed now, so that a broken bundle fails at start and not at the first peer.
 *
 * @param origin `store`: the operating system's, whose roots are public ones.
 * @throws ConfigurationError `ERR_CONFIG_CERTIFICATE`, naming the entry that cannot be read.
 */
export function createAnchors(
  sources: CertificateSource | readonly CertificateSource[],
  origin: 'application' | 'store' = 'application',
): AnchorSet {
  const list = typeof sources === 'string' || sources instanceof Uint8Array ? [sources] : sources
  const entries = createEntries(list)
  return new Anchors(entries, origin === 'store' ? entries.map(({ sha256 }) => sha256) : [])
}

/** The roots this Node release ships. Parsed one by one as paths reach for them. */
export function bundledAnchors(): AnchorSet {
  bundled ??= new Anchors(
    rootCertificates.flatMap(certificatesOfPem).map((der) => new Anchor(der, subjectKeyOf(der))),
    [], // known by their keys
    rootCertificates,
  )
  return bundled
}

/** All anchors of several sets, each once. */
export function uniteAnchors(sets: readonly AnchorSet[]): AnchorSet {
  return new Anchors(
    sets.flatMap((set) => (set instanceof Anchors ? set.anchors : createEntries(set.pem))),
    sets.flatMap((set) => (set instanceof Anchors ? [...set.fromStore] : [])),
  )
}

class Anchors implements AnchorSet {
  readonly anchors: readonly Anchor[]
  /** Digests. */
  readonly fromStore: ReadonlySet<string>
  readonly #bySha256: ReadonlyMap<string, Anchor>
  readonly #bySubject = new Map<string, Anchor[]>()
  #pem: readonly string[] | undefined
  #digest: string | undefined

  constructor(anchors: readonly Anchor[], fromStore: readonly string[], pem?: readonly string[]) {
    this.fromStore = new Set(fromStore)
    this.#bySha256 = new Map(anchors.map((anchor) => [anchor.sha256, anchor]))
    this.anchors = [...this.#bySha256.values()]
    this.#pem = pem
    for (const anchor of this.anchors) {
      const same = this.#bySubject.get(anchor.subjectKey)
      if (same === undefined) this.#bySubject.set(anchor.subjectKey, [anchor])
      else same.push(anchor)
    }
  }

  get size(): number {
    return this.anchors.length
  }

  get pem(): readonly string[] {
    this.#pem ??= Object.freeze(this.anchors.map(({ der }) => pemOf(der)))
    return this.#pem
  }

  get digest(): string {
    const name = (sha256: string): string => (this.fromStore.has(sha256) ? `${sha256} store` : sha256)
    this.#digest ??= hash('sha256', [...this.#bySha256.keys()].map(name).sort().join('\n'), 'hex')
    return this.#digest
  }

  withSubject(key: string): readonly Certificate[] {
    return this.#bySubject.get(key)?.map((anchor) => anchor.certificate) ?? []
  }

  has(sha256: string): boolean {
    return this.#bySha256.has(sha256)
  }

  isPublic(anchor: Certificate): boolean {
    if (this.fromStore.has(anchor.sha256)) return true
    const roots = bundledAnchors()
    if (roots.withSubject(anchor.subject.key).some((root) => root.spkiSha256 === anchor.spkiSha256)) return true
    // What a public root issued stays public where it is given as an anchor itself.
    const stored = this.withSubject(anchor.issuer.key).filter(({ sha256 }) => this.fromStore.has(sha256))
    return [...roots.withSubject(anchor.issuer.key), ...stored].some((root) => isSignedBy(anchor, root))
  }
}

class Anchor {
  readonly der: Uint8Array
  readonly sha256: string
  readonly subjectKey: string
  #certificate: Certificate | undefined

  constructor(der: Uint8Array, subjectKey: string, certificate?: Certificate) {
    this.der = der
    this.sha256 = hash('sha256', der, 'hex')
    this.subjectKey = subjectKey
    this.#certificate = certificate
  }

  get certificate(): Certificate {
    this.#certificate ??= parseCertificate(this.der)
    return this.#certificate
  }
}

function createEntries(sources: readonly CertificateSource[]): readonly Anchor[] {
  return sources.flatMap((source, index) => readSource(source, index))
}

function readSource(source: CertificateSource, index: number): readonly Anchor[] {
  const place = `trust anchor ${index}`
  try {
    const ders = isDer(source) ? [source] : certificatesOfPem(Buffer.from(source).toString('latin1'))
    if (ders.length === 0) throw new DerError('holds no PEM certificate')
    return ders.map((der) => {
      const certificate = parseCertificate(der)
      const flaw = encodingFlawOf(certificate)
      if (flaw !== undefined) throw new DerError(flaw)
      return new Anchor(certificate.der, certificate.subject.key, certificate)
    })
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause
    throw new ConfigurationError('ERR_CONFIG_CERTIFICATE', `${place}: not a certificate: ${cause.message}`, { cause })
  }
}

/** DER starts with a SEQUENCE; PEM never does, for 0x30 is the digit 0. A text has characters where bytes have numbers. */
const isDer = (source: CertificateSource): source is Uint8Array => source[0] === 0x30

let bundled: AnchorSet | undefined
