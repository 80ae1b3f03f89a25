import { createHash } from 'node:crypto'
import * as z from 'zod'
import { parseOptions } from '../encoding/options.ts'
import { SignError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import { currentSigner, type KeyRing, signersOf } from '../keys/key-ring.ts'
import type { Signer } from '../keys/signer.ts'
import type { Runtime } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import { type Component, componentIdentifier, distinct } from './component.ts'
import { digestField } from './content-digest.ts'
import type { FieldLine, RequestMessage, ResponseMessage } from './message.ts'
import { MessageRefusal } from './refusal.ts'
import { signatureBase } from './signature-base.ts'
import { readSignatures } from './signature-fields.ts'
import { keyidOf, signatureOctets } from './signature-key.ts'
import { type BareItem, serializeParameters } from './structured-fields.ts'
import { ComponentsSchema, RuntimeSchema, requirementsOf } from './verify-options.ts'

/** Signatures over responses (RFC 9421 §2.4): with which keys, and over what. */
export interface SignResponsesOptions {
  readonly keys: Signer | KeyRing
  /**
   * Default: the status, Content-Type, Content-Encoding and Content-Digest where there are such, and of the request, where it is given, the method, the
   * target, the Content-Digest and each signature.
   */
  readonly components?: readonly Component[]
  /** Default `sig`. */
  readonly label?: string
  /** Default: no end is said. */
  readonly expiresInSec?: number
  readonly tag?: string
  readonly runtime?: Runtime
}

/** A response before it is sent. */
export interface OutgoingResponse {
  readonly status: number
  readonly headers?: Iterable<readonly [string, string]> | Readonly<Record<string, string | readonly string[]>>
  /** All of it, as it is sent: compressed, where it is. Leave it out where there is none, as in the answer to HEAD. */
  readonly body?: Uint8Array
}

/**
 * Signs one response.
 *
 * @param request That is answered, as `verifyRequests` gives it.
 * @returns The header fields to add, names in lower case.
 */
export type ResponseSigner = (
  response: OutgoingResponse,
  request?: RequestMessage,
) => Promise<Readonly<Record<string, string>>>

/**
 * The server's half: signs responses (RFC 9421), with their bodies by Content-Digest (RFC 9530). What it answers rejects with a
 * SignError for a component that a response lacks, and for a key that does not sign.
 *
 * @throws ConfigurationError; SignError `ERR_SIGN_KEY_UNSUITABLE` for a key that does not fit its algorithm.
 */
export function signResponses(options: SignResponsesOptions): ResponseSigner {
  const {
    keys,
    components,
    label,
    expiresInSec,
    tag,
    runtime = systemRuntime,
  } = parseOptions('signResponses', Options, options)
  if (components !== undefined) requirementsOf('signResponses.components', components)
  for (const signer of signersOf(keys)) keyidOf(signer, false, NAME)
  return async (response, request) => {
    const digest = digestOf(response)
    const fields = [...linesOf(response.headers), ...Object.entries(digest)]
    const message: ResponseMessage = { kind: 'response', status: response.status, fields, ...(request && { request }) }
    const now = runtime.clock.now()
    const signer = currentSigner(keys, now)
    const created = Math.floor(now / 1_000)
    const parameters = new Map<string, BareItem>([['created', created]])
    if (expiresInSec !== undefined) parameters.set('expires', created + expiresInSec)
    const keyid = keyidOf(signer, false, NAME)
    if (keyid !== undefined) parameters.set('keyid', keyid)
    if (tag !== undefined) parameters.set('tag', tag)
    const { text, base } = basis(components, parameters, message)
    const signature = await signed(signer, base)
    return Object.freeze({
      ...digest,
      'signature-input': `${label}=${text}`,
      signature: `${label}=:${signatureOctets(signer.algorithm, signature, NAME).toString('base64')}:`,
    })
  }
}

/** @throws SignError */
function basis(
  given: readonly Component[] | undefined,
  parameters: ReadonlyMap<string, BareItem>,
  message: ResponseMessage,
): { readonly text: string; readonly base: string } {
  try {
    const components = distinct((given ?? defaultsFor(message)).map(componentIdentifier))
    const text = `(${components.map((component) => component.text).join(' ')})${serializeParameters(parameters)}`
    return { text, base: signatureBase(components, text, message) }
  } catch (error) {
    if (!(error instanceof MessageRefusal)) throw error
    const code = error.reason === 'missing' ? 'ERR_SIGN_COMPONENT_MISSING' : 'ERR_SIGN_COMPONENT_INVALID'
    throw new SignError(code, `response: ${error.message}`)
  }
}

async function signed(signer: Signer, base: string): Promise<Uint8Array> {
  try {
    return await signer.sign(Buffer.from(base), { signal: AbortSignal.any([]) })
  } catch (error) {
    if (error instanceof SignError) throw error
    throw new SignError('ERR_SIGN_SIGNER_UNAVAILABLE', 'response: the key did not sign', { cause: scrub(error) })
  }
}

function digestOf({ body }: OutgoingResponse): Record<string, string> {
  if (body === undefined || body.length === 0) return {}
  return { 'content-digest': digestField(['sha-256'], (hash) => createHash(hash).update(body).digest()) }
}

function linesOf(headers: OutgoingResponse['headers'] = {}): FieldLine[] {
  const pairs = Symbol.iterator in headers ? [...headers] : Object.entries(headers)
  const lines = pairs.flatMap(([name, values]) =>
    [values].flat().map((value): FieldLine => [name.toLowerCase(), value]),
  )
  return lines.filter(([name]) => name !== 'content-digest')
}

function defaultsFor({ fields, request }: ResponseMessage): Component[] {
  const present = ['content-type', 'content-encoding', 'content-digest'].filter((field) =>
    fields.some(([name]) => name === field),
  )
  const own: Component[] = ['@status', ...present]
  if (request === undefined) return own
  const hasDigest = request.fields.some(([name]) => name === 'content-digest')
  const names = ['@method', '@target-uri', ...(hasDigest ? ['content-digest'] : [])]
  const signatures = [...readSignatures(request.fields).keys()]
  return [
    ...own,
    ...names.map((name) => ({ name, req: true }) as const),
    ...signatures.map((key) => ({ name: 'signature', key, req: true }) as const),
  ]
}

const NAME = 'signResponses'

const Options = z.strictObject({
  keys: z.custom<Signer | KeyRing>(
    (keys) => typeof keys === 'object' && keys !== null && ('sign' in keys || 'current' in keys),
    'expected a signer or a key ring',
  ),
  components: ComponentsSchema.optional(),
  label: z
    .string()
    .regex(/^[a-z*][a-z0-9_.*-]{0,63}$/, 'expected a key of a dictionary (RFC 9651 §3.1.2)')
    .default('sig'),
  expiresInSec: z.int().min(1).max(2_678_400).optional(),
  tag: z
    .string()
    .regex(/^[\x20-\x7e]{1,256}$/, 'expected ASCII')
    .optional(),
  runtime: RuntimeSchema.optional(),
})
