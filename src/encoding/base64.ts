/** Standard base64 (RFC 4648 §4) with padding and nothing else; `undefined` for any other text. Node's decoder skips what it does not know. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? new Uint8Array(bytes) : undefined
}

/** base64url (RFC 4648 §5) without padding and nothing else; `undefined` for any other text. */
export function decodeBase64Url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? new Uint8Array(bytes) : undefined
}

export const encodeBase64Url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')
