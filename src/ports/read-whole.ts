import { raceSignal } from './signals.ts'

/**
 * All of a body, nothing where there is none; `undefined` where it is longer, and then nobody reads the rest.
 *
 * @throws the reason of the signal, and what the body fails with.
 */
export async function readWhole(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  signal: AbortSignal | null,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (body === null) return new Uint8Array()
  const reader = body.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for (;;) {
      const { done, value } = await raceSignal(reader.read(), signal)
      if (done) return new Uint8Array(Buffer.concat(chunks))
      size += value.byteLength
      if (size > maxBytes) break
      chunks.push(value)
    }
  } catch (error) {
    reader.cancel(error).catch(() => undefined)
    throw error
  }
  reader.cancel().catch(() => undefined)
  return undefined
}
