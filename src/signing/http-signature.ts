import { ConfigurationError, SignError } from '../errors/errors.ts'
import { createKeyWatch, currentSigner, signersOf } from '../keys/key-ring.ts'
import type { Signer } from '../keys/signer.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { type AcceptedRequests, createAcceptedRequests } from './accept-signature.ts'
import { signsFor } from './allowed-origins.ts'
import {
  type Covered,
  extended,
  isIn,
  requestComponent,
  requestComponents,
  type StandingCoverage,
  standingCoverage,
} from './covered-components.ts'
import { type HttpSignatureOptions, type HttpSignatureSettings, settingsOf } from './http-signature-options.ts'
import type { RequestMessage } from './message.ts'
import { requestDigest } from './request-digest.ts'
import { signError } from './sign-error.ts'
import { signatureBase } from './signature-base.ts'
import type { RequestedSignature } from './signature-fields.ts'
import { keyidOf, parameterText, signatureText } from './signature-key.ts'
import type { BoundSigner, RequestPatch, RequestSigner, SignableRequest, SigningHost } from './signing.ts'
import { parseDictionary } from './structured-fields.ts'

/**
 * HTTP Message Signatures (RFC 9421), with the body by Content-Digest (RFC 9530).
 *
 * @throws ConfigurationError; SignError `ERR_SIGN_COMPONENT_INVALID` for what is no component of a request,
 *   `ERR_SIGN_KEY_UNSUITABLE` for a key that does not fit its algorithm.
 *
 * @example
 * httpSignature({ keys: localSigner(privateKey, { keyId: 'payments-2026' }) })
 */
export function httpSignature(options: HttpSignatureOptions): RequestSigner {
  const settings = settingsOf(options)
  const { keys, profile, listed, digest, label, allow, byThumbprint } = settings
  const rulesDigest = digest.when !== 'never'
  const standing = orSignError(() => standingCoverage(profile, listed, rulesDigest))
  const allowed = orSignError(() => new Set((allow ?? []).map((component) => requestComponent(component).id)))
  for (const signer of signersOf(keys)) keyidOf(signer, byThumbprint)
  return Object.freeze({
    name: 'httpSignature',
    headers: Object.freeze(['signature', 'signature-input', ...(rulesDigest ? ['content-digest'] : [])]),
    label,
    body: rulesDigest ? 'digest' : 'ignored',
    ...(digest.maxBufferBytes === 0 ? {} : { maxBufferBytes: digest.maxBufferBytes }),
    bind: (host) => {
      const keyid = (signer: Signer): string | undefined => keyidOf(signer, byThumbprint)
      const rules = { allowed, covered: standing.ids, label, tag: settings.tag, keyidOf: keyid }
      const accepted = allow === undefined ? undefined : createAcceptedRequests(rules, host)
      return signsFor(settings.allowedOrigins, boundSigner(settings, { standing, accepted, host }))
    },
    toJSON: () => ({ name: 'httpSignature', label }),
  } satisfies RequestSigner & { toJSON: () => unknown })
}

interface Surroundings {
  readonly standing: StandingCoverage
  readonly accepted: AcceptedRequests | undefined
  readonly host: SigningHost
}

function boundSigner(settings: HttpSignatureSettings, { standing, accepted, host }: Surroundings): BoundSigner {
  const { keys, digest } = settings
  const { clock } = host.runtime
  const parametersOf = createParameters(settings, host)
  const noteKey = createKeyWatch('httpSignature', host.emit)

  const covered = (message: RequestMessage, request: SignableRequest, coversDigest: boolean): Covered => {
    const always = standing.of(message, coversDigest)
    return settings.ask === undefined ? always : extended(always, requestComponents(settings.ask(request)))
  }
  return {
    sign: (request, context) => {
      const now = toUnixMs(clock.now() + host.clockOffset(request.origin))
      const signer = currentSigner(keys, now)
      noteKey(signer)
      const { made, isCovered } = requestDigest(request, digest)
      const message = made === undefined ? request : withField(request, 'content-digest', made)
      const { label, input, base } = orSignError(() => {
        const own = covered(message, request, isCovered)
        const asked = accepted?.take(request.origin, own)
        const { components, list } = asked === undefined ? own : withAsked(own, asked, message)
        const input = list + parametersOf(signer, Math.floor(now / 1_000), asked)
        return { label: asked?.label ?? settings.label, input, base: signatureBase(components, input, message) }
      })
      requireNewLabel(label, request)
      const patch = (signature: Uint8Array): RequestPatch => {
        const text = signatureText(signer.algorithm, signature)
        const headers = { 'signature-input': `${label}=${input}`, signature: `${label}=:${text}:` }
        return { headers: made === undefined ? headers : { 'content-digest': made, ...headers } }
      }
      const signature = signer.sign(Buffer.from(base), context)
      return signature instanceof Promise ? signature.then(patch) : patch(signature)
    },
    ...(accepted === undefined
      ? {}
      : {
          onResponse: (response, request) => accepted.hear(response, request, currentSigner(keys, clock.now())),
        }),
  }
}

/** The parameters of a signature (RFC 9421 §2.3), those that stay the same for a key made once. */
function createParameters(settings: HttpSignatureSettings, { runtime }: SigningHost) {
  const { created: saysCreated, expiresInSec, nonce: nonceOption, byThumbprint, includeAlg } = settings
  const known = new WeakMap<Signer, string>()
  const standing = (signer: Signer, tag: string | undefined): string =>
    parameterText('keyid', keyidOf(signer, byThumbprint)) +
    parameterText('alg', includeAlg ? signer.algorithm : undefined) +
    parameterText('tag', tag)
  const usual = (signer: Signer): string => {
    const text = known.get(signer) ?? standing(signer, settings.tag)
    known.set(signer, text)
    return text
  }
  const nonce = (): string | undefined => {
    if (nonceOption === false) return undefined
    if (nonceOption === true) return Buffer.from(runtime.random(NONCE_OCTETS)).toString('base64url')
    return nonceOption()
  }
  return (signer: Signer, now: number, asked: RequestedSignature | undefined): string => {
    const ofKey = asked?.parameters.tag === undefined ? usual(signer) : standing(signer, asked.parameters.tag)
    const created = saysCreated || asked?.created === true ? `;created=${now}` : ''
    const lifetime = expiresInSec === false && asked?.expires === true ? DEFAULT_LIFETIME_SEC : expiresInSec
    const expires = lifetime === false ? '' : `;expires=${now + lifetime}`
    return created + expires + nonceText(asked?.parameters.nonce ?? nonce()) + ofKey
  }
}

/** What the server asked for beside our own, as far as this request has it. */
function withAsked(own: Covered, asked: RequestedSignature, message: RequestMessage): Covered {
  return extended(
    own,
    asked.components.filter((component) => isIn(message, component)),
  )
}

function withField({ kind, method, url, target, fields }: RequestMessage, name: string, value: string): RequestMessage {
  return { kind, method, url, fields: [...fields, [name, value]], ...(target === undefined ? {} : { target }) }
}

/** @throws SignError `ERR_SIGN_LABEL_CONFLICT` where the request has a signature of this label, or one that cannot be read. */
function requireNewLabel(label: string, { fields }: SignableRequest): void {
  const lines = fields.filter(([name]) => name === 'signature-input').map(([, value]) => value)
  const before = parseDictionary(lines.join(', '))
  if (before !== undefined && !before.has(label)) return
  const problem = before === undefined ? 'has signatures that cannot be read' : `has a signature ${label} already`
  throw new SignError('ERR_SIGN_LABEL_CONFLICT', `httpSignature: the request ${problem}; nothing was sent`)
}

/** @throws ConfigurationError for what a function made that is no string of ASCII. */
function nonceText(nonce: string | undefined): string {
  if (nonce === undefined || (typeof nonce === 'string' && ASCII.test(nonce))) return parameterText('nonce', nonce)
  throw new ConfigurationError('ERR_CONFIG_INVALID', 'httpSignature.nonce: expected a function that answers ASCII')
}

function orSignError<Value>(run: () => Value): Value {
  try {
    return run()
  } catch (error) {
    throw signError(error, 'httpSignature')
  }
}

const ASCII = /^[\x20-\x7e]*$/
const NONCE_OCTETS = 16
const DEFAULT_LIFETIME_SEC = 300
