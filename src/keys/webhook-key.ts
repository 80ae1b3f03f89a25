import { decodeBase64 } from '../encoding/base64.ts'
import { KeyError } from '../errors/errors.ts'

/**
 * The key that a secret of Standard Webhooks stands for: `whsec_` and the base64 of it.
 *
 * @throws KeyError
 * @see https://www.standardwebhooks.com
 */
export function webhookKeyOf(secret: Uint8Array): Uint8Array {
  const text = Buffer.from(secret).toString('latin1')
  const bytes = decodeBase64(text.startsWith('whsec_') ? text.slice('whsec_'.length) : text)
  if (bytes !== undefined && bytes.length >= MIN_KEY_BYTES && bytes.length <= MAX_KEY_BYTES) return bytes
  const expected = `expected whsec_ and the base64 of ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} bytes`
  throw new KeyError('ERR_KEY_SOURCE_INVALID', `standardWebhook secret: ${expected}`)
}

const MIN_KEY_BYTES = 24 // as the specification has it
const MAX_KEY_BYTES = 64
