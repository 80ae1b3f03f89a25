import { createHash } from 'node:crypto'
import { SignError } from '../errors/errors.ts'
import { digestField, digestsMatch, readDigest } from './content-digest.ts'
import type { HttpSignatureSettings } from './http-signature-options.ts'
import type { SignableRequest } from './signing.ts'

export interface RequestDigest {
  readonly isCovered: boolean
  /** To be added to the request; `undefined` where it has the field, or is not to have it. */
  readonly made: string | undefined
}

/**
 * The Content-Digest of a request: made here, or checked where the caller gave it.
 *
 * @throws SignError `ERR_SIGN_DIGEST_CONFLICT`, `ERR_SIGN_BODY_UNHASHABLE`
 */
export function requestDigest(
  { fields, body }: SignableRequest,
  { algorithms, when }: HttpSignatureSettings['digest'],
): RequestDigest {
  if (when === 'never') return NOT_COVERED
  const given = fields.filter(([name]) => name === 'content-digest').map(([, value]) => value)
  const isEmpty = body.kind === 'none' || (body.kind === 'bytes' && body.bytes.length === 0)
  if (isEmpty && when === 'body' && given.length === 0) return NOT_COVERED
  if (given.length > 0) {
    const read = readDigest(given.join(', '))
    const isTrue = read.kind === 'digests' && (body.kind === 'stream' || digestsMatch(read.digests, digestOf(body)))
    if (isTrue) return COVERED
    const problem = read.kind === 'digests' ? 'the digest of the body' : 'a sha-256 or sha-512 of the body'
    const message = `httpSignature: expected ${problem} in the Content-Digest that the caller gave; nothing was sent`
    throw new SignError('ERR_SIGN_DIGEST_CONFLICT', message)
  }
  if (body.kind !== 'stream') return { isCovered: true, made: digestField(algorithms, digestOf(body)) }
  const message =
    'httpSignature: expected a body in memory, or its Content-Digest; saw a stream without; nothing was sent'
  throw new SignError('ERR_SIGN_BODY_UNHASHABLE', message)
}

function digestOf(body: Exclude<SignableRequest['body'], { kind: 'stream' }>): (hash: 'sha256' | 'sha512') => Buffer {
  return body.kind === 'bytes' ? body.digest : (hash) => createHash(hash).digest()
}

const COVERED: RequestDigest = { isCovered: true, made: undefined }
const NOT_COVERED: RequestDigest = { isCovered: false, made: undefined }
