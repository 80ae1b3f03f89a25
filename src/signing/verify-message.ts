import { KeyObject } from 'node:crypto'
import type { CodeIn } from '../errors/codes.ts'
import { VerifyError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import { fits } from '../keys/algorithm.ts'
import type { SignatureAlgorithm } from '../keys/signer.ts'
import { isRetired, type KeyResolver, type VerificationKey, verifySignature } from '../keys/verification-key.ts'
import type { UnixMs } from '../ports/runtime.ts'
import { type ComponentIdentifier, quote } from './component.ts'
import { componentValue } from './component-value.ts'
import type { Message } from './message.ts'
import type { NonceStore } from './nonce-store.ts'
import { MessageRefusal } from './refusal.ts'
import { signatureBase } from './signature-base.ts'
import { type ReadSignature, readSignatures } from './signature-fields.ts'
import { type Requirement, requireCoverage } from './verify-coverage.ts'
import { type Ages, timeProblem } from './verify-time.ts'

/** What a signature has to be before it counts. */
export interface VerifyPolicy extends Ages {
  readonly keys: KeyResolver
  readonly algorithms: readonly SignatureAlgorithm[]
  /** Other signatures are left aside. The tag is signed, the label is not. */
  readonly label?: string | undefined
  readonly tag?: string | undefined
  /** A signature needs a nonce, and counts once. */
  readonly nonces?: NonceStore | undefined
}

export interface VerifyContext {
  readonly now: UnixMs
  /** Coverage that this message needs. */
  readonly required: readonly Requirement[]
  /** Names the message that is refused. */
  readonly refuse: Refuse
}

export type Refuse = (code: CodeIn<'VERIFY'>, what: string, cause?: unknown) => VerifyError

/** A signature that is one of the key, over what the policy asks for, and of the time it asks for. */
export interface Verified {
  readonly label: string
  readonly keyId: string
  readonly algorithm: SignatureAlgorithm
  /** Unix seconds, like `expires`. */
  readonly created: number
  readonly expires?: number
  readonly nonce?: string
  readonly tag?: string
  readonly components: readonly ComponentIdentifier[]
}

/**
 * Verifies the signature of a message (RFC 9421 §3.2); of several, one has to be right. Nothing is said of the body: its digest
 * is compared by whoever has the bytes.
 *
 * @throws VerifyError
 */
export async function verifyMessage(message: Message, policy: VerifyPolicy, context: VerifyContext): Promise<Verified> {
  const candidates = candidatesOf(message, policy, context.refuse)
  const verified: Verified[] = []
  let refusal: VerifyError | undefined
  for (const [label, signature] of candidates) {
    try {
      verified.push(await verifyOne(label, signature, { message, policy, context }))
      if (policy.nonces === undefined) break
    } catch (error) {
      if (!(error instanceof VerifyError)) throw error
      if (refusal === undefined || STAGES.indexOf(error.code) > STAGES.indexOf(refusal.code)) refusal = error
    }
  }
  const [first] = verified
  if (first === undefined) throw refusal
  // each of them: a message that was seen under one of its signatures must not pass under another
  if (policy.nonces !== undefined) for (const one of verified) await claim(one, policy, policy.nonces, context)
  return first
}

/** Whether a message carries a signature, or a part of one. */
export const isSigned = ({ fields }: Message): boolean =>
  fields.some(([name]) => name === 'signature' || name === 'signature-input')

interface Task {
  readonly message: Message
  readonly policy: VerifyPolicy
  readonly context: VerifyContext
}

/** One at least. */
function candidatesOf({ fields }: Message, { label, tag }: VerifyPolicy, refuse: Refuse): [string, ReadSignature][] {
  const read = orRefused(refuse, () => readSignatures(fields))
  const found = [...read].filter(
    ([name, { parameters }]) =>
      (label === undefined || name === label) && (tag === undefined || parameters.tag === tag),
  )
  if (found.length > 0) return found
  const which = `${label === undefined ? '' : ` as ${quote(label)}`}${tag === undefined ? '' : ` with the tag ${quote(tag)}`}`
  throw refuse('ERR_VERIFY_MISSING', `expected a signature${which}, there is none`)
}

/** What costs nothing is looked at first; the sender chose what a key is asked for with. */
async function verifyOne(label: string, signature: ReadSignature, task: Task): Promise<Verified> {
  const { policy, context, message } = task
  const { parameters, components } = signature
  const { now, refuse } = context
  const { algorithms } = policy
  const allowed = algorithms.filter((one) => parameters.alg === undefined || parameters.alg === one)
  if (allowed.length === 0)
    throw refuse('ERR_VERIFY_ALG_MISMATCH', `expected ${algorithms.join(' or ')}, signed with another algorithm`)
  requireCoverage(components, context.required, refuse)
  const late = timeProblem(parameters, policy, now)
  if (late !== undefined) throw refuse('ERR_VERIFY_TIME', late)
  if (policy.nonces !== undefined && parameters.nonce === undefined)
    throw refuse('ERR_VERIFY_COVERAGE', 'expected a nonce, the signature has none')
  const key = await keyOf(parameters.keyid, allowed, task)
  const base = baseOf(signature, message, refuse)
  if (!verifySignature(key, Buffer.from(base), signature.signature)) {
    const isBound = components.some(({ req }) => req)
    const doubt = isBound ? ', or it answers another request' : ''
    throw refuse('ERR_VERIFY_FAILED', `the signature is not one of the key; something was changed${doubt}`)
  }
  const { created = 0, expires, nonce, tag } = parameters // without `created` the time was refused
  return {
    label,
    keyId: key.keyId,
    algorithm: key.algorithm,
    created,
    ...(expires === undefined ? {} : { expires }),
    ...(nonce === undefined ? {} : { nonce }),
    ...(tag === undefined ? {} : { tag }),
    components,
  }
}

async function keyOf(
  keyId: string | undefined,
  algorithms: readonly SignatureAlgorithm[],
  { policy, context: { now, refuse } }: Task,
): Promise<VerificationKey> {
  let key: VerificationKey | undefined
  try {
    key = await policy.keys({ keyId, algorithms, now })
  } catch (error) {
    if (error instanceof VerifyError) throw refuse(error.code, KEY_PROBLEMS[error.code] ?? 'no key', error)
    throw refuse('ERR_VERIFY_KEYS_UNAVAILABLE', 'the keys could not be had', scrub(error))
  }
  if (key === undefined) throw refuse('ERR_VERIFY_KEY_UNKNOWN', 'the signature is by a key that is not known')
  // the application's function may answer anything, and any key for any algorithm that it was told of
  if (!(key?.key instanceof KeyObject))
    throw refuse('ERR_VERIFY_KEYS_UNAVAILABLE', 'expected a key that verificationKey() made, saw something else')
  if (isRetired(key, now)) throw refuse('ERR_VERIFY_KEY_UNKNOWN', 'the signature is by a key that was retired')
  if (!fits(key.key, key.algorithm))
    throw refuse('ERR_VERIFY_ALG_MISMATCH', `the key that was found is none for ${key.algorithm}`)
  if (algorithms.includes(key.algorithm)) return key
  throw refuse('ERR_VERIFY_ALG_MISMATCH', `the key is for ${key.algorithm}, expected ${algorithms.join(' or ')}`)
}

/** A component that is signed and not there was taken out on the way; of the request, it is another one that was answered. */
function baseOf({ components, parametersText }: ReadSignature, message: Message, refuse: Refuse): string {
  try {
    return signatureBase(components, parametersText, message)
  } catch (error) {
    if (!(error instanceof MessageRefusal)) throw error
    if (error.reason !== 'missing') throw refuse('ERR_VERIFY_MALFORMED', error.message)
    const isOfRequest = components.some(
      (component) => component.req && isMissing(() => componentValue(component, message)),
    )
    throw refuse(isOfRequest ? 'ERR_VERIFY_REQUEST_BINDING' : 'ERR_VERIFY_FAILED', error.message)
  }
}

function isMissing(value: () => string): boolean {
  try {
    value()
    return false
  } catch (error) {
    return error instanceof MessageRefusal && error.reason === 'missing'
  }
}

async function claim(
  { keyId, nonce = '', created }: Verified,
  { maxAgeSec, clockSkewSec }: Ages,
  nonces: NonceStore,
  { now, refuse }: VerifyContext,
): Promise<void> {
  // from then on it is too old; by the time's rule, a moment later
  const until = ((created + maxAgeSec + clockSkewSec + 1) * 1_000) as UnixMs
  let isNew: boolean
  try {
    isNew = (await nonces.claim({ keyId, nonce, until, now })) === true
  } catch (error) {
    throw refuse('ERR_VERIFY_NONCES_UNAVAILABLE', 'nobody can tell whether the signature was seen before', scrub(error))
  }
  if (!isNew) throw refuse('ERR_VERIFY_REPLAY', 'the nonce of the signature was seen before')
}

function orRefused<T>(refuse: Refuse, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof MessageRefusal) throw refuse('ERR_VERIFY_MALFORMED', error.message)
    throw error
  }
}

const KEY_PROBLEMS: Partial<Record<CodeIn<'VERIFY'>, string>> = {
  ERR_VERIFY_ALG_MISMATCH: 'the key of that name is for another algorithm',
  ERR_VERIFY_KEY_UNKNOWN: 'the signature is by a key that is not known',
  ERR_VERIFY_KEYS_UNAVAILABLE: 'no keys, or none that are recent enough',
}

/** Of several signatures, the one that came furthest says what is wrong. */
const STAGES: readonly string[] = [
  'ERR_VERIFY_ALG_MISMATCH',
  'ERR_VERIFY_KEY_UNKNOWN',
  'ERR_VERIFY_KEYS_UNAVAILABLE',
  'ERR_VERIFY_COVERAGE',
  'ERR_VERIFY_REQUEST_BINDING',
  'ERR_VERIFY_TIME',
  'ERR_VERIFY_MALFORMED',
  'ERR_VERIFY_FAILED',
]
