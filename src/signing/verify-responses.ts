import * as z from 'zod'
import { parseOptions } from '../encoding/options.ts'
import { ConfigurationError } from '../errors/errors.ts'
import type { Emit } from '../events/events.ts'
import { remoteJwks } from '../keys/jwks.ts'
import { keysOfSet } from '../keys/verification-key.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { Inspect } from '../transport/inspection.ts'
import type { Component } from './component.ts'
import { inspectResponse, type ResponseRules, type UnverifiedHead } from './response-inspection.ts'
import type { DigestRule } from './verify-digest.ts'
import {
  ComponentsSchema,
  KeysSchema,
  RulesSchema,
  requirementsOf,
  resolverOf,
  type SignatureRules,
  type VerificationKeys,
} from './verify-options.ts'

export interface VerifyResponsesOptions extends SignatureRules {
  /** Also as the https URL of a JWK set, which the client fetches over its own pinned connections. */
  readonly keys: VerificationKeys | { readonly jwksUri: string }
  /**
   * Which responses have to be signed; a signature that is there is verified in any case. Default `'always'`. With `'if-present'`
   * whoever can take a signature away can change the rest.
   */
  readonly require?: 'always' | 'if-present' | ((response: UnverifiedHead) => boolean)
  /** What a signature has to cover, with the parameters. Default `['@status']`. */
  readonly components?: readonly Component[]
  /**
   * Whether a signature has to cover the request that it answers (RFC 9421 §2.4): method and target, and its Content-Digest where it
   * has one, as they were sent. `'signature'`: our signature as well, so that no answer fits twice. Default true.
   */
  readonly bindRequest?: boolean | 'signature'
  /** Whether a body needs a Content-Digest that is signed. Default `'require'`. */
  readonly digest?: DigestRule
  /**
   * `hold`: the response is handed over when all of it was verified. `stream`: when its head was, and a body that is not the one
   * whose digest was signed ends with an error. Default `'hold'`.
   */
  readonly body?: 'hold' | 'stream'
  /** Of a body that is held, as it is sent; a longer one is refused. Default 10,485,760. */
  readonly maxHeldBytes?: number
}

/** Made by `verifyResponses` alone; serves one client or several. */
export interface ResponseVerifier {
  readonly name: 'verifyResponses'
}

/** What a client lends. */
export interface VerifyingHost {
  /** The client's own pinned fetch, whose responses are not verified: for a JWK set. */
  readonly fetch: typeof globalThis.fetch
  readonly runtime: Runtime
  readonly emit: Emit
}

/**
 * Has a client refuse responses that are not signed as they should be (RFC 9421), before the application sees them. What is
 * verified is what arrived: each header line and each byte, before anything is joined or decoded.
 *
 * @throws ConfigurationError
 */
export function verifyResponses(options: VerifyResponsesOptions): ResponseVerifier {
  const { keys, components, require, bindRequest, digest, body, maxHeldBytes, ...rules } = parseOptions(
    'verifyResponses',
    Options,
    options,
  )
  const required = requirementsOf('verifyResponses.components', components)
  const own = 'jwksUri' in keys ? undefined : resolverOf(keys)
  const rulesFor = ({ fetch, runtime }: VerifyingHost): ResponseRules => ({
    policy: { ...rules, keys: own ?? keysOfSet(remoteJwks((keys as RemoteKeys).jwksUri, { fetch, runtime })) },
    required,
    require,
    bindRequest,
    digest,
    body,
    maxHeldBytes,
  })
  const verifier: ResponseVerifier = Object.freeze({ name: 'verifyResponses' })
  made.set(verifier, rulesFor)
  return verifier
}

export function isResponseVerifier(value: unknown): value is ResponseVerifier {
  return made.has(value as object)
}

/** For one client: what its dispatcher shows each response to. */
export function bindVerifier(verifier: ResponseVerifier, host: VerifyingHost): Inspect {
  const rulesFor = made.get(verifier)
  if (rulesFor === undefined)
    throw new ConfigurationError('ERR_CONFIG_INVALID', 'verify: expected what verifyResponses answers')
  const rules = rulesFor(host)
  return (request) => inspectResponse(request, rules, host)
}

const made = new WeakMap<object, (host: VerifyingHost) => ResponseRules>()

interface RemoteKeys {
  readonly jwksUri: string
}

const Options = RulesSchema.extend({
  keys: z.union(
    [KeysSchema, z.strictObject({ jwksUri: z.url({ protocol: /^https$/, error: 'expected an https URL' }) })],
    'expected verification keys, a key set, a function that finds a key, or { jwksUri }',
  ),
  require: z
    .union(
      [
        z.enum(['always', 'if-present']),
        z.custom<(response: UnverifiedHead) => boolean>((value) => typeof value === 'function'),
      ],
      'expected always, if-present, or a function that tells whether a response has to be signed',
    )
    .default('always'),
  components: ComponentsSchema.default(['@status']),
  bindRequest: z.union([z.boolean(), z.literal('signature')], 'expected true, false, or signature').default(true),
  digest: z.enum(['require', 'if-present']).default('require'),
  body: z.enum(['hold', 'stream']).default('hold'),
  maxHeldBytes: z.int().min(1).max(1_073_741_824).default(10_485_760),
})
