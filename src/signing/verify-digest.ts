import { createHash } from 'node:crypto'
import type { ComponentIdentifier } from './component.ts'
import { type DigestAlgorithm, HASHES, type ReadDigest, readDigest } from './content-digest.ts'
import type { FieldLine } from './message.ts'
import { coversField } from './verify-coverage.ts'
import type { Refuse } from './verify-message.ts'

/** `require`: a body without a digest that is signed is refused. `if-present`: it is not, and nothing speaks for it then. */
export type DigestRule = 'require' | 'if-present'

/** Sees a body as it was sent, before anything is decoded: both may throw a VerifyError, `update` before the bytes are used. */
export interface BodyVerifier {
  readonly update: (chunk: Uint8Array) => void
  readonly end: () => void
}

export interface DigestContext {
  readonly fields: readonly FieldLine[]
  /** Of the signature that was verified; none where there is no signature. */
  readonly components: readonly ComponentIdentifier[]
  readonly rule: DigestRule
  /** The digest is of a body that another method, or another state of the cache, would have got. */
  readonly isBodiless?: boolean
  /** The body is a part of the representation, 206: Repr-Digest is of the whole, and says nothing of it. */
  readonly isPartial?: boolean
  readonly refuse: Refuse
}

/**
 * Compares a body with its Content-Digest (RFC 9530 §2), and one that is a whole representation with a Repr-Digest that is signed (§3).
 * A Content-Digest that is there has to be signed, whatever the rule: anybody can write another one beside another body.
 *
 * @throws VerifyError
 */
export function bodyVerifier(context: DigestContext): BodyVerifier {
  const { fields, components, rule, isBodiless = false, isPartial = false, refuse } = context
  const digest = digestIn(fields, 'Content-Digest', refuse)
  const isOfWhole = coversField(components, 'repr-digest') && !isPartial
  const whole = isOfWhole ? digestIn(fields, 'Repr-Digest', refuse) : undefined
  if (digest?.kind === 'digests' && !coversField(components, 'content-digest'))
    throw refuse('ERR_VERIFY_COVERAGE', 'expected a signature that covers "content-digest", which the message has')
  const digests = [digest, whole].flatMap((one) => (one?.kind === 'digests' ? [...one.digests] : []))
  if (digests.length > 0) return isBodiless ? expectingNothing(refuse) : comparing(digests, refuse)
  const uncovered = (): never => {
    if (digest === undefined)
      throw refuse('ERR_VERIFY_COVERAGE', 'expected a signed Content-Digest of the body, there is none')
    throw refuse(
      'ERR_VERIFY_DIGEST_UNSUPPORTED',
      'expected a Content-Digest by sha-256 or sha-512, there are only others',
    )
  }
  return {
    update: (chunk) => {
      if (rule === 'require' && chunk.length > 0) uncovered()
    },
    end: () => undefined,
  }
}

function digestIn(fields: readonly FieldLine[], field: string, refuse: Refuse): ReadDigest | undefined {
  const lines = fields.filter(([name]) => name === field.toLowerCase()).map(([, value]) => value)
  const digest = lines.length === 0 ? undefined : readDigest(lines.join(', '))
  if (digest?.kind !== 'malformed') return digest
  throw refuse('ERR_VERIFY_MALFORMED', `${field}: expected a dictionary of digests (RFC 9530 §2, §3)`)
}

function comparing(digests: readonly (readonly [DigestAlgorithm, Uint8Array])[], refuse: Refuse): BodyVerifier {
  const comparisons = digests.map(([name, expected]) => ({ expected, hash: createHash(HASHES[name].hash) }))
  return {
    update: (chunk) => {
      for (const { hash } of comparisons) hash.update(chunk)
    },
    end: () => {
      // all of them: a sender that gives two stands by both
      if (comparisons.every(({ expected, hash }) => hash.digest().equals(expected))) return
      throw refuse('ERR_VERIFY_DIGEST_MISMATCH', 'the body is not the one whose digest was signed')
    },
  }
}

/** HTTP/2 can carry a body where there must be none (RFC 9110 §9.3.2, §15.4.5). */
function expectingNothing(refuse: Refuse): BodyVerifier {
  return {
    update: (chunk) => {
      if (chunk.length > 0)
        throw refuse('ERR_VERIFY_DIGEST_MISMATCH', 'expected no body, since such a response has none')
    },
    end: () => undefined,
  }
}
