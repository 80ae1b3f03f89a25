import * as z from 'zod'
import { parseOptions } from '../encoding/options.ts'
import { VerifyError } from '../errors/errors.ts'
import type { SignatureAlgorithm } from '../keys/signer.ts'
import type { Runtime } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import type { Component } from './component.ts'
import type { RequestMessage } from './message.ts'
import { type FetchRequest, type NodeRequest, receivedRequest } from './received-request.ts'
import { bodyVerifier, type DigestRule } from './verify-digest.ts'
import { type Refuse, type Verified, verifyMessage } from './verify-message.ts'
import {
  ComponentsSchema,
  KeysSchema,
  OriginSchema,
  RulesSchema,
  RuntimeSchema,
  requirementsOf,
  resolverOf,
  type SignatureRules,
  type VerificationKeys,
} from './verify-options.ts'

export interface VerifyRequestsOptions extends SignatureRules {
  readonly keys: VerificationKeys
  /** Under which the service is known, as `https://api.example`: Host is what the client wrote, and is not asked. */
  readonly origin: string
  /** What a signature has to cover, with the parameters. Default `['@method', '@target-uri']`. */
  readonly components?: readonly Component[]
  /** Whether a body needs a Content-Digest that is signed. Default `'require'`. */
  readonly digest?: DigestRule
  readonly runtime?: Runtime
}

/**
 * Verifies one request.
 *
 * @param body All of it, as it was received, before anything is decoded or parsed; `null` where the request has none.
 * @throws VerifyError saying why: for your logs, and not for the sender. KeyError where a key cannot be had.
 */
export type RequestVerifier = (request: NodeRequest | FetchRequest, body: Uint8Array | null) => Promise<VerifiedRequest>

/** Who signed a request, and what. */
export interface VerifiedRequest {
  readonly label: string
  readonly keyId: string
  readonly algorithm: SignatureAlgorithm
  /** Unix seconds, like `expires`. */
  readonly created: number
  readonly expires?: number
  readonly nonce?: string
  readonly tag?: string
  /** As the signature base has them. Nothing else of the request is signed. */
  readonly components: readonly string[]
  /** For `signResponse`. */
  readonly message: RequestMessage
}

/**
 * The server's half: verifies the signatures of requests (RFC 9421), with their bodies. Make one, and use it for every request: a
 * request that it rejects with a VerifyError is answered with 401, or 503 where `retryable` is true.
 *
 * @throws ConfigurationError
 */
export function verifyRequests(options: VerifyRequestsOptions): RequestVerifier {
  const read = parseOptions('verifyRequests', Options, options)
  const { keys, origin, components, digest, runtime = systemRuntime, ...rules } = read
  const policy = { ...rules, keys: resolverOf(keys) }
  const required = requirementsOf('verifyRequests.components', components)
  return async (request, body) => {
    const message = receivedRequest(request, origin)
    const verified = await verifyMessage(message, policy, { now: runtime.clock.now(), required, refuse })
    const check = bodyVerifier({ fields: message.fields, components: verified.components, rule: digest, refuse })
    check.update(body ?? NOTHING)
    check.end()
    return resultOf(verified, message)
  }
}

const refuse: Refuse = (code, what, cause) => new VerifyError(code, `request: ${what}`, { cause })

function resultOf({ components, ...rest }: Verified, message: RequestMessage): VerifiedRequest {
  return Object.freeze({ ...rest, components: Object.freeze(components.map(({ text }) => text)), message })
}

const NOTHING = new Uint8Array()

const Options = RulesSchema.extend({
  keys: KeysSchema,
  origin: OriginSchema,
  components: ComponentsSchema.default(['@method', '@target-uri']),
  digest: z.enum(['require', 'if-present']).default('require'),
  runtime: RuntimeSchema.optional(),
})
