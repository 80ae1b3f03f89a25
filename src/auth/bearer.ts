import * as z from 'zod'
import { AllowedOrigins, parseOptions } from '../encoding/options.ts'
import { KeyError } from '../errors/errors.ts'
import type { SecretSource } from '../keys/secret-source.ts'
import { OverlapMs, Source } from './api-key.ts'
import type { AuthScheme } from './scheme.ts'
import { staticCredential } from './static-credential.ts'

/** A token that somebody else renews, and the origins that may see it. */
export interface BearerOptions {
  readonly source: SecretSource
  /** As `https://api.example`; no other origin ever sees the token. */
  readonly allowedOrigins: readonly string[]
  /** After a rotation: how long the token before is still tried where a server answers 401 to the new one. Default 300,000. */
  readonly overlapMs?: number
}

/**
 * A token that somebody else renews, such as the one of a Kubernetes service account, as `Authorization: Bearer` (RFC 6750 §2.1).
 *
 * @throws ConfigurationError
 */
export function bearer(options: BearerOptions): AuthScheme {
  const { source, allowedOrigins, overlapMs } = parseOptions('bearer', Options, options)
  const render = (token: string): string => {
    if (B64TOKEN.test(token)) return `Bearer ${token}`
    throw new KeyError('ERR_KEY_SOURCE_INVALID', 'bearer: the token has characters that RFC 6750 §2.1 does not allow')
  }
  return staticCredential({ name: 'bearer', header: 'authorization', source, allowedOrigins, overlapMs, render })
}

const B64TOKEN = /^[A-Za-z0-9._~+/-]+=*$/

const Options = z.strictObject({ source: Source, allowedOrigins: AllowedOrigins, overlapMs: OverlapMs })
