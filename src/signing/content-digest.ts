import { parseDictionary } from './structured-fields.ts'

/** The algorithms of RFC 9530 §5 that prove something; the others are never made, and count as absent. */
export type DigestAlgorithm = 'sha-256' | 'sha-512'

/** Hashes of a digest, as node:crypto names them. */
export type HashName = 'sha256' | 'sha512'

/** Hashes what the field is about: a body as it is sent (Content-Digest), or a representation (Repr-Digest). */
export type DigestOf = (hash: HashName) => Uint8Array

/** What a digest field says. */
export type ReadDigest =
  | { readonly kind: 'digests'; readonly digests: ReadonlyMap<DigestAlgorithm, Uint8Array> }
  /** Algorithms alone that are unknown, or prove nothing. */
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'malformed' }

/** The value of Content-Digest or Repr-Digest. */
export function digestField(algorithms: readonly DigestAlgorithm[], digest: DigestOf): string {
  return algorithms.map((name) => `${name}=:${Buffer.from(digest(HASHES[name].hash)).toString('base64')}:`).join(', ')
}

/** A Content-Digest or Repr-Digest field that was received, its lines joined by commas. */
export function readDigest(text: string): ReadDigest {
  const members = parseDictionary(text)
  if (members === undefined) return { kind: 'malformed' }
  const digests = new Map<DigestAlgorithm, Uint8Array>()
  for (const [name, [value]] of members) {
    if (!(value instanceof ArrayBuffer)) return { kind: 'malformed' }
    if (!isSupported(name)) continue
    if (value.byteLength !== HASHES[name].length) return { kind: 'malformed' }
    digests.set(name, new Uint8Array(value))
  }
  return digests.size === 0 ? { kind: 'unsupported' } : { kind: 'digests', digests }
}

/** Whether every digest is the one of the body: a sender that gives two stands by both. */
export function digestsMatch(digests: ReadonlyMap<DigestAlgorithm, Uint8Array>, digest: DigestOf): boolean {
  return [...digests].every(([name, expected]) => Buffer.compare(expected, digest(HASHES[name].hash)) === 0)
}

function isSupported(name: string): name is DigestAlgorithm {
  return Object.hasOwn(HASHES, name)
}

export const HASHES: Readonly<Record<DigestAlgorithm, { readonly hash: HashName; readonly length: number }>> = {
  'sha-256': { hash: 'sha256', length: 32 },
  'sha-512': { hash: 'sha512', length: 64 },
}
