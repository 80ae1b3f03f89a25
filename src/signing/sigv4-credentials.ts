import * as z from 'zod'
import { KeyError } from '../errors/errors.ts'
import { weaknessOf } from '../keys/secret-rules.ts'
import { type OpenSecret, openSecret, type SecretSource, type SecretVersion } from '../keys/secret-source.ts'
import type { SigningHost } from './signing.ts'

/** As the providers of the AWS SDK answer them. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly expiration?: Date
}

/**
 * Where access keys come from. A callback is asked when they are first needed and again shortly before they expire, once for
 * however many requests wait; so is one of the AWS SDK's providers, which fits as it is.
 */
export type AwsCredentialSource =
  | ((request: AwsCredentialRequest) => Promise<AwsCredentials>)
  | { readonly accessKeyId: string; readonly secretAccessKey: SecretSource }

/** Why credentials are asked for, and until when anybody waits. */
export interface AwsCredentialRequest {
  /** `rejected`: a server refused the ones before. */
  readonly reason: 'initial' | 'expiring' | 'rejected'
  readonly signal: AbortSignal
}

/** Access keys in use, as the secret they are; what stands in it, `credentialsIn` reads. */
export function openCredentials(source: AwsCredentialSource, { runtime, emit }: SigningHost): OpenSecret {
  const world = { name: 'sigV4 credentials', runtime, emit }
  if (typeof source !== 'function') return openSecret(source.secretAccessKey, world)
  return openSecret(async ({ reason, signal }) => {
    const { expiration, ...keys } = checked(await source({ reason, signal }))
    return {
      value: JSON.stringify(keys),
      version: keys.accessKeyId,
      ...(expiration === undefined ? {} : { expiresAt: expiration }),
    }
  }, world)
}

export function credentialsIn(source: AwsCredentialSource, { secret }: SecretVersion): AwsCredentials {
  if (typeof source === 'function') return JSON.parse(secret.reveal()) as AwsCredentials
  return { accessKeyId: source.accessKeyId, secretAccessKey: secret.reveal() }
}

/** Names what is wrong and shows nothing: all of it is secret. */
function checked(answer: unknown): z.output<typeof Answer> {
  const parsed = Answer.safeParse(answer)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(
    ({ path, message }) => `${['sigV4 credentials', ...path.map(String)].join('.')}: ${message}`,
  )
  throw new KeyError('ERR_KEY_SOURCE_INVALID', problems.join('; '))
}

const isNoSecret = (text: string): boolean => weaknessOf(Buffer.from(text), false) !== undefined

/** It stands between a `=` and a `/`. */
export const AccessKeyId = z.string().regex(/^[\w.@:-]{1,128}$/, 'expected the id of an access key')

/** Others are left out: providers add the account, the scope and more. */
const Answer = z.object(
  {
    accessKeyId: AccessKeyId,
    secretAccessKey: z
      .string('expected text')
      .refine((text) => !isNoSecret(text), 'expected a secret of 16 bytes or more'),
    sessionToken: z
      .string()
      .regex(/^[\x21-\x7e]{1,16384}$/, 'expected a token without spaces')
      .optional(),
    expiration: z.date('expected a date').optional(),
  },
  'expected an object with accessKeyId and secretAccessKey',
)
