import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { FetchBytes, FetchedBytes, FetchLimits } from '../ports/runtime.ts'

/** One place that serves a repository. `path` is relative, as in `roots/2.json`; answers like HTTP does, 404 for absent. */
export interface Mirror {
  /** For messages and events: an origin and path, or a directory. */
  readonly name: string
  readonly get: (path: string, limits: FetchLimits) => Promise<FetchedBytes>
}

/** Where signed documents come from. Mirrors are tried in order, document by document; none of them is trusted. */
export interface ManifestSource {
  readonly mirrors: readonly Mirror[]
}

export type ManifestLocation =
  | { readonly kind: 'https'; readonly url: URL }
  | { readonly kind: 'directory'; readonly path: string }

/** @param fetchBytes One GET; never a client that consults the manifest, which could then lock itself out. */
export function createManifestSource(locations: readonly ManifestLocation[], fetchBytes: FetchBytes): ManifestSource {
  return {
    mirrors: locations.map((location) =>
      location.kind === 'https' ? httpsMirror(location.url, fetchBytes) : directoryMirror(location.path),
    ),
  }
}

/** A source of the application's own: a message bus, a bucket, a test. */
export function customSource(name: string, get: Mirror['get']): ManifestSource {
  return { mirrors: [{ name, get }] }
}

function httpsMirror(base: URL, fetchBytes: FetchBytes): Mirror {
  return {
    name: `${base.origin}${base.pathname}`,
    get: (path, limits) => fetchBytes(new URL(path, base), limits),
  }
}

function directoryMirror(directory: string): Mirror {
  return { name: directory, get: async (path, { maxBytes }) => readAtMost(join(directory, path), maxBytes) }
}

/** Links are followed: mounted volumes consist of them. */
async function readAtMost(path: string, maxBytes: number): Promise<FetchedBytes> {
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
    throw error
  }
}

async function readUpTo(file: FileHandle, maxBytes: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(Math.min(maxBytes, (await file.stat()).size + 1))
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.slice(0, length)
}

const ABSENT: FetchedBytes = { status: 404, headers: {}, bytes: new Uint8Array() }
