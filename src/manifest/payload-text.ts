/** The payload of a stored document as text, unverified: for searches that err on the side of keeping a file. */
export function payloadText(document: Uint8Array | undefined): string {
  const text = Buffer.from(document ?? new Uint8Array()).toString('latin1')
  return Buffer.from(/"payload"\s*:\s*"([\w-]+)"/.exec(text)?.[1] ?? '', 'base64url').toString('latin1')
}
