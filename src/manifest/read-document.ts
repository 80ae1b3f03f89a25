import { type FileHandle, open } from 'node:fs/promises'
import type { FetchedBytes } from '../ports/runtime.ts'
import { parseBundle } from './bundle.ts'

/** Answers for a file as a server would, one byte past the limit at most. Links are followed: mounted volumes consist of them. */
export async function readDocument(path: string, maxBytes: number): Promise<FetchedBytes> {
  try {
    const file = await open(path, 'r')
    try {
      return { status: 200, headers: {}, bytes: await readUpTo(file, maxBytes + 1) } // one more shows that it is too long
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return ABSENT
    throw new UnusableSource(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** Of this machine or of the application, so that what is wrong can be said: no peer wrote the message. */
export class UnusableSource extends Error {
  override readonly name = 'UnusableSource'
}

/** The same for a document in a bundle file, which is read anew each time. */
export async function readFromBundle(file: string, path: string): Promise<FetchedBytes> {
  const { status, bytes } = await readDocument(file, MAX_BUNDLE_BYTES)
  if (status !== 200) return ABSENT
  const bundle = parseBundle(bytes)
  if (bundle === undefined)
    throw new UnusableSource(`${file}: expected {"status", "manifest", "roots"}, as JSON or its base64`)
  return found(bundle.get(path))
}

/** How a document that is there, or is not, looks to somebody who asks a server for it. */
export function found(bytes: Uint8Array | undefined): FetchedBytes {
  return bytes === undefined ? ABSENT : { status: 200, headers: {}, bytes }
}

async function readUpTo(file: FileHandle, maxBytes: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(Math.min(maxBytes, (await file.stat()).size + 1))
  let length = 0
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length)
    if (bytesRead === 0) return buffer.slice(0, length) // at its end, or all that was asked for
    length += bytesRead
  }
}

const ABSENT: FetchedBytes = { status: 404, headers: {}, bytes: new Uint8Array() }
const MAX_BUNDLE_BYTES = 4 * 1024 * 1024 // a manifest of the largest size, its status, and roots for decades
