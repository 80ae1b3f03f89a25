import * as z from 'zod'
import { AllowedOrigins, parseOptions } from '../encoding/options.ts'
import { KeyError } from '../errors/errors.ts'
import type { SecretSource } from '../keys/secret-source.ts'
import { OverlapMs, Source } from './api-key.ts'
import type { AuthScheme } from './scheme.ts'
import { staticCredential } from './static-credential.ts'

/** A user name and password for HTTP Basic (RFC 7617), and the origins that may see them. */
export interface BasicOptions {
  /** Without a colon, which ends it (RFC 7617 §2). */
  readonly username: string
  readonly password: SecretSource
  /** As `https://api.example`; no other origin ever sees the password. */
  readonly allowedOrigins: readonly string[]
  /** After a rotation: how long the password before is still tried where a server answers 401 to the new one. Default 300,000. */
  readonly overlapMs?: number
}

/**
 * User name and password as `Authorization: Basic` (RFC 7617), in UTF-8 and normalization form C (§2.1).
 *
 * @throws ConfigurationError
 */
export function basic(options: BasicOptions): AuthScheme {
  const { username, password, allowedOrigins, overlapMs } = parseOptions('basic', Options, options)
  const render = (secret: string): string => {
    if (!hasControls(secret)) return `Basic ${Buffer.from(`${username}:${secret}`.normalize('NFC')).toString('base64')}`
    throw new KeyError('ERR_KEY_SOURCE_INVALID', 'basic: the password has control characters')
  }
  return staticCredential({
    name: 'basic',
    header: 'authorization',
    source: password,
    allowedOrigins,
    overlapMs,
    render,
  })
}

/** Also what is no character: the place of bytes that were not UTF-8. */
const hasControls = (text: string): boolean => /[\p{Cc}\p{Cs}\uFFFD]/u.test(text)

const Options = z.strictObject({
  username: z
    .string()
    .min(1)
    .max(256)
    .refine((name) => !name.includes(':'), 'expected a user name without a colon (RFC 7617 §2)')
    .refine((name) => !hasControls(name), 'expected a user name without control characters'),
  password: Source,
  allowedOrigins: AllowedOrigins,
  overlapMs: OverlapMs,
})
