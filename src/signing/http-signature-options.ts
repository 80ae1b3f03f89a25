import * as z from 'zod'
import { AllowedOrigins, parseOptions } from '../encoding/options.ts'
import { ConfigurationError } from '../errors/errors.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Signer } from '../keys/signer.ts'
import type { Component } from './component.ts'
import type { DigestAlgorithm } from './content-digest.ts'
import type { SignableRequest } from './signing.ts'

/** Signatures over requests (RFC 9421): with which keys, and over what. */
export interface HttpSignatureOptions {
  readonly keys: Signer | KeyRing
  /** Tells signatures of one request apart. Default `sig`. */
  readonly label?: string
  /**
   * What is covered, and which parameters there are. `strict`: method and target URI, and Content-Type, Content-Encoding,
   * Authorization and DPoP where the request has them. `fapi2`: FAPI 2.0 HTTP Signatures, which needs Authorization.
   * `web-bot-auth`: authority and Signature-Agent, the key by its RFC 7638 thumbprint. Default `strict`, or what `components`
   * says where that is given.
   */
  readonly preset?: SignaturePreset
  /** What is covered, beside what the preset covers where one is named. A function is asked for each request. */
  readonly components?: readonly Component[] | ((request: SignableRequest) => readonly Component[])
  /** Default true. */
  readonly created?: boolean
  /** Since `created`. Default 300, for `fapi2` false: no end is said. */
  readonly expiresInSec?: number | false
  /** Lets the other side refuse what it has seen. Default true, 128 random bits; for `fapi2` false. */
  readonly nonce?: boolean | (() => string)
  /** What the signature is for. The profiles have their own. */
  readonly tag?: string
  /** The other side knows the algorithm by the key. Default false. */
  readonly includeAlg?: boolean
  readonly contentDigest?: ContentDigestOptions
  /** Whether a server may ask, by Accept-Signature, for more than is covered anyway, out of `allow`. Default `ignore`. */
  readonly acceptSignature?: 'ignore' | { readonly allow: readonly Component[] }
  /** As `https://api.example`; requests to others are not signed. Default: all that the client reaches. */
  readonly allowedOrigins?: readonly string[]
}

/** When and how a body is digested (RFC 9530). */
export interface ContentDigestOptions {
  /** Default `sha-256`. */
  readonly algorithms?: readonly DigestAlgorithm[]
  /**
   * When Content-Digest is made, and covered: where there is a body, even for a request without one, or never, which leaves the
   * body to whoever changes it. Default `body`.
   */
  readonly when?: 'body' | 'always' | 'never'
  /** How much of a stream is read into memory, so that it can be hashed before it is sent. Default 0: a stream is refused. */
  readonly maxBufferBytes?: number
}

/** What is covered unless you say otherwise. */
export type SignaturePreset = 'strict' | 'fapi2' | 'web-bot-auth'

/** Where `ifPresent`, a component is covered in the requests that have the field. */
export interface Coverage {
  readonly component: Component
  readonly ifPresent: boolean
}

export type HttpSignatureSettings = ReturnType<typeof settingsOf>

/** @throws ConfigurationError */
export function settingsOf(options: HttpSignatureOptions) {
  const given = parseOptions('httpSignature', Options, options)
  const preset = given.preset ?? (given.components === undefined ? 'strict' : undefined)
  const profile = preset === undefined ? NO_PRESET : PRESETS[preset]
  if (profile.tag !== undefined && (given.tag ?? profile.tag) !== profile.tag)
    throw invalid('tag', `expected ${profile.tag} of ${preset}, or none given`)
  if (profile.tag !== undefined && !given.created) throw invalid('created', `expected true, which ${preset} asks for`)
  const listed = typeof given.components === 'function' ? [] : (given.components ?? [])
  const { algorithms, when, maxBufferBytes } = given.contentDigest
  return {
    keys: given.keys,
    label: given.label,
    byThumbprint: preset === 'web-bot-auth',
    profile: profile.coverage,
    listed,
    ask: typeof given.components === 'function' ? given.components : undefined,
    created: given.created,
    expiresInSec: given.expiresInSec ?? profile.expiresInSec,
    nonce: given.nonce ?? profile.nonce,
    tag: given.tag ?? profile.tag,
    includeAlg: given.includeAlg,
    digest: { algorithms, when, maxBufferBytes },
    allow: typeof given.acceptSignature === 'object' ? given.acceptSignature.allow : undefined,
    allowedOrigins: given.allowedOrigins,
  } as const
}

const always = (component: Component): Coverage => ({ component, ifPresent: false })
const ifPresent = (component: Component): Coverage => ({ component, ifPresent: true })

interface Profile {
  readonly coverage: readonly Coverage[]
  readonly expiresInSec: number | false
  readonly nonce: boolean
  readonly tag?: string
}

const PRESETS: Readonly<Record<SignaturePreset, Profile>> = {
  strict: {
    coverage: [
      ...['@method', '@target-uri'].map(always),
      ...['content-type', 'content-encoding', 'authorization', 'dpop'].map(ifPresent),
    ],
    expiresInSec: 300,
    nonce: true,
  },
  // OpenID FAPI 2.0 HTTP Signatures, "Requirements for signing and verifying resource requests"
  fapi2: {
    coverage: [...['@method', '@target-uri', 'authorization'].map(always), ifPresent('dpop')],
    expiresInSec: false,
    nonce: false,
    tag: 'fapi-2-request',
  },
  // draft-meunier-web-bot-auth-architecture
  'web-bot-auth': {
    coverage: [always('@authority'), ifPresent('signature-agent')],
    expiresInSec: 300,
    nonce: true,
    tag: 'web-bot-auth',
  },
}

const NO_PRESET: Profile = { ...PRESETS.strict, coverage: [] }

function invalid(option: string, expected: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_INVALID', `httpSignature.${option}: ${expected}`)
}

type ComponentsOf = (request: SignableRequest) => readonly Component[]

const isSigner = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && ('current' in value || ('sign' in value && 'algorithm' in value))

const isComponent = (value: unknown): boolean =>
  typeof value === 'string' ||
  (typeof value === 'object' && value !== null && typeof (value as { name?: unknown }).name === 'string')

const ComponentSchema = z.custom<Component>(isComponent)
const isFunction = (value: unknown): boolean => typeof value === 'function'

const Options = z.strictObject({
  keys: z.custom<Signer | KeyRing>(isSigner, 'expected a signer, or a ring of keys'),
  label: z
    .string()
    .max(64)
    .regex(/^[a-z*][a-z0-9_\-.*]*$/, 'expected a key of RFC 9651 §3.1.2, such as sig1')
    .default('sig'),
  preset: z.enum(['strict', 'fapi2', 'web-bot-auth']).optional(),
  components: z
    .union(
      [z.array(ComponentSchema).max(50), z.custom<ComponentsOf>(isFunction)],
      'expected up to 50 components, such as @method or content-type, or a function that lists them',
    )
    .optional(),
  created: z.boolean().default(true),
  expiresInSec: z
    .union([z.literal(false), z.int().min(1).max(86_400)], 'expected false, or seconds up to a day')
    .optional(),
  nonce: z
    .union([z.boolean(), z.custom<() => string>(isFunction)], 'expected true, false, or a function that makes a nonce')
    .optional(),
  tag: z
    .string()
    .min(1)
    .max(256)
    .regex(/^[\x20-\x7e]+$/, 'expected ASCII')
    .optional(),
  includeAlg: z.boolean().default(false),
  contentDigest: z
    .strictObject({
      algorithms: z
        .array(z.enum(['sha-256', 'sha-512']))
        .min(1)
        .refine((names) => new Set(names).size === names.length, 'expected each algorithm once')
        .default(['sha-256']),
      when: z.enum(['body', 'always', 'never']).default('body'),
      maxBufferBytes: z.int().min(0).max(1_073_741_824).default(0),
    })
    .prefault({}),
  acceptSignature: z
    .union(
      [z.literal('ignore'), z.strictObject({ allow: z.array(ComponentSchema).min(1).max(50) })],
      'expected ignore, or { allow } with the components that a server may ask for',
    )
    .optional(),
  allowedOrigins: AllowedOrigins.optional(),
})
