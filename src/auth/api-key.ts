import * as z from 'zod'
import { AllowedOrigins, parseOptions } from '../encoding/options.ts'
import { ConfigurationError, KeyError } from '../errors/errors.ts'
import { isSecretSource, type SecretSource, SOURCE_EXPECTED } from '../keys/secret-source.ts'
import type { AuthScheme } from './scheme.ts'
import { staticCredential } from './static-credential.ts'

/** A key in a header field, and the origins that may see it. */
export interface ApiKeyOptions {
  /** As `x-api-key`. */
  readonly header: string
  /** Before the key, as it stands there: `Token ` has its space. */
  readonly prefix?: string
  readonly source: SecretSource
  /** As `https://api.example`; no other origin ever sees the key. */
  readonly allowedOrigins: readonly string[]
  /** After a rotation: how long the key before is still tried where a server answers 401 to the new one. Default 300,000. */
  readonly overlapMs?: number
}

/**
 * A key in a header of its own.
 *
 * @throws ConfigurationError
 *
 * @example
 * apiKey({ header: 'x-api-key', source: { file: '/run/secrets/partner' }, allowedOrigins: ['https://api.partner.example'] })
 */
export function apiKey(options: ApiKeyOptions): AuthScheme {
  if (typeof options === 'object' && options !== null && ('query' in options || 'in' in options)) {
    const message = 'apiKey: a key in the query string ends in every log on the way; expected `header`'
    throw new ConfigurationError('ERR_CONFIG_INVALID', message)
  }
  const { header, prefix = '', source, allowedOrigins, overlapMs } = parseOptions('apiKey', Options, options)
  const render = (key: string): string => {
    if (FIELD_VALUE.test(key)) return `${prefix}${key}`
    throw new KeyError('ERR_KEY_SOURCE_INVALID', 'apiKey: the key has characters that no header may have')
  }
  return staticCredential({ name: 'apiKey', header, source, allowedOrigins, overlapMs, render })
}

/** In lower case. */
export const HeaderName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/, 'expected the name of a header, such as x-api-key')
  .transform((name) => name.toLowerCase())
  .refine((name) => !RESERVED.has(name), 'expected a header that is free for a key, such as x-api-key')
export const Source = z.custom<SecretSource>(isSecretSource, SOURCE_EXPECTED)
export const OverlapMs = z.int().min(0).max(86_400_000).optional()

/** Of the connection, of the body, or of somebody else: a credential there changes more than who is asking. */
const RESERVED: ReadonlySet<string> = new Set([
  ...['host', 'connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect', 'content-length'],
  ...['content-type', 'content-encoding', 'accept-encoding', 'cookie', 'proxy-authorization', 'proxy-connection'],
])

const FIELD_VALUE = /^[\x21-\x7e]+$/ // of RFC 9110 §5.5 what no intermediary changes or folds

const Options = z.strictObject({
  header: HeaderName,
  prefix: z
    .string()
    .regex(/^[\x20-\x7e]{0,100}$/, 'expected printable ASCII')
    .regex(/^(?! )/, 'expected no space at the beginning')
    .optional(),
  source: Source,
  allowedOrigins: AllowedOrigins,
  overlapMs: OverlapMs,
})
