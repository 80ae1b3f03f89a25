/**
 * Signed documents from a bucket with the S3 API, by plain GET: signing in is the business of the `fetch` that is given, be it
 * one that adds credentials, or a pinfetch client with the bucket’s pins in code.
 *
 * @example
 * const bucket = createClient({ pins: { 'pins.s3.eu-central-1.amazonaws.com': [current, backup] } })
 * const custom = s3Source('https://pins.s3.eu-central-1.amazonaws.com/prod/', bucket.fetch)
 * const client = createClient({ manifest: { custom, root: './root.json' } })
 */
import type { CustomSource } from 'pinfetch'

export function s3Source(bucket: string, fetch: typeof globalThis.fetch): CustomSource {
  return {
    name: bucket,
    get: async (path, { maxBytes, signal, ifNoneMatch }) => {
      const headers = { 'accept-encoding': 'identity', ...(ifNoneMatch && { 'if-none-match': ifNoneMatch }) }
      const response = await fetch(new URL(path, bucket), { headers, signal, redirect: 'manual' })
      // 403 is what S3 says about an absent key to somebody who may not list the bucket; the library reads it that way.
      const { status } = response
      return { status, headers: Object.fromEntries(response.headers), bytes: await readUpTo(response, maxBytes) }
    },
  }
}

/** One byte past the limit shows that there was more; leaving the loop ends the transfer. */
async function readUpTo(response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk)
    length += chunk.length
    if (length > maxBytes) break
  }
  return Buffer.concat(chunks)
}
