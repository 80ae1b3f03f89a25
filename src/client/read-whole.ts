import { raceSignal } from '../ports/signals.ts'

/**
 * All of a stream; `undefined` where it is longer, and then nobody reads the rest.
 *
 * @throws the reason of the signal, and what the stream fails with.
 */
export async function readWhole(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
  signal: AbortSignal | null,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const reader = stream.getReader()
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
