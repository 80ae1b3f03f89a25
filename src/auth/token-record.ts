import * as z from 'zod'
import { StoreError } from '../errors/errors.ts'
import { toUnixMs } from '../ports/runtime.ts'
import { checkFormat, FORMAT } from '../stores/tokens/record.ts'
import type { TokenCipher } from '../stores/tokens/store.ts'
import { digest } from './held-token.ts'
import { HEADER_SAFE } from './token.ts'

/** What one record of a TokenStore holds, sealed. */
export interface TokenContent {
  readonly token?: StoredAccessToken
  readonly refreshToken?: string
  /** Digests of configured refresh tokens that were redeemed: whoever starts with one of them has nothing new to offer. */
  readonly spent: readonly string[]
  /** In place of the tokens of a session that ended: the identity of the content that it had. */
  readonly ended?: string
}

export type StoredAccessToken = z.output<typeof AccessToken>

/** Two contents with the same tokens are the same, however often the record around them was written. */
export function identityOf({ token, refreshToken, ended }: TokenContent): string {
  return ended ?? digest(`${token?.accessToken ?? ''}\n${refreshToken ?? ''}`)
}

/** `configured`: a digest to remember as redeemed. */
export function withSpent(spent: readonly string[], configured: string): readonly string[] {
  return spent.includes(configured) ? spent : [...spent, configured].slice(-MAX_SPENT)
}

export async function sealContent(
  content: TokenContent,
  key: string,
  cipher: TokenCipher | undefined,
): Promise<string> {
  const text = JSON.stringify({ format: FORMAT, ...content })
  return cipher === undefined ? text : await cipher.seal(text, key)
}

/** @throws StoreError `ERR_STORE_DECRYPT_FAILED`, `ERR_STORE_CONTEXT_MISMATCH`, `ERR_STORE_RECORD_INVALID`, `ERR_STORE_RECORD_NEWER` */
export async function openContent(sealed: string, key: string, cipher: TokenCipher | undefined): Promise<TokenContent> {
  const text = cipher === undefined ? sealed : await cipher.open(sealed, key)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw unusable() // without a cause: JSON.parse quotes what it read
  }
  if (typeof value !== 'object' || value === null) throw unusable()
  checkFormat(Reflect.get(value, 'format'))
  const parsed = Content.safeParse(value)
  if (!parsed.success) throw unusable()
  const { token, refreshToken, ended, spent } = parsed.data
  return {
    spent,
    ...(token !== undefined && { token }),
    ...(refreshToken !== undefined && { refreshToken }),
    ...(ended !== undefined && { ended }),
  }
}

function unusable(): StoreError {
  return new StoreError(
    'ERR_STORE_RECORD_INVALID',
    'token store: a record is no token record of this library; it is left alone, and nothing is sent in its place',
  )
}

const Instant = z.number().nonnegative().transform(toUnixMs)
const AccessToken = z.object({
  accessToken: z.string().regex(HEADER_SAFE), // whoever can write to the store writes no header fields
  tokenType: z.enum(['Bearer', 'DPoP', 'N_A']),
  expiresAt: Instant.optional(),
  receivedAt: Instant,
  scope: z.array(z.string()).readonly(),
  binding: z.string().optional(),
})
const Content = z.object({
  token: AccessToken.optional(),
  refreshToken: z.string().min(1).optional(),
  spent: z.array(z.string()).readonly().default([]),
  ended: z.string().optional(),
})
const MAX_SPENT = 8
