import { join } from 'node:path'
import type { Cancel, FetchBytes, FetchedBytes, FetchLimits } from '../ports/runtime.ts'
import type { Bundle } from './bundle.ts'
import { found, readDocument, readFromBundle } from './read-document.ts'
import { frozenMount, type Watching, watchFile } from './watch.ts'

/** One place that serves a repository. `path` is relative, as in `roots/2.json`; answers like HTTP does, 404 for absent. */
export interface Mirror {
  /** For messages and events: an origin and path, or a directory. */
  readonly name: string
  readonly get: (path: string, limits: FetchLimits) => Promise<FetchedBytes>
}

/** Where signed documents come from. Mirrors are tried in order, document by document, and take turns in being first; none is trusted. */
export interface ManifestSource {
  readonly mirrors: readonly Mirror[]
  /** Says when a look may be worth it. What else it might say is not heard: documents come through the mirrors alone. */
  readonly watch?: (listener: SourceListener) => Cancel
  readonly close?: () => Promise<void>
}

export interface SourceListener {
  readonly changed: () => void
  /** The source will not do what its operator expects. */
  readonly warn: (source: string, message: string) => void
}

export type ManifestLocation =
  | { readonly kind: 'https'; readonly url: URL }
  | { readonly kind: 'directory'; readonly path: string }
  /** A bundle in a file, read at each refresh. */
  | { readonly kind: 'file'; readonly path: string }
  /** A bundle that was read already, from where `path` says. */
  | { readonly kind: 'bundle'; readonly path: string; readonly bundle: Bundle }

/**
 * @param fetchBytes One GET; never a client that consults the manifest, which could then lock itself out.
 * @param watching Given: changes of directories and files are noticed.
 */
export function createManifestSource(
  locations: readonly ManifestLocation[],
  fetchBytes: FetchBytes,
  watching?: Watching,
): ManifestSource {
  const mirrors = locations.map((location) => mirrorOf(location, fetchBytes))
  if (watching === undefined) return { mirrors }
  return {
    mirrors,
    watch: (listener) => {
      const stops = locations.flatMap(fileIn).map((file) => {
        void warnOfFrozenMount(file, listener, watching)
        return watchFile(file, listener.changed, watching)
      })
      return () => {
        for (const stop of stops) stop()
      }
    },
  }
}

/** A mirror that is a function. */
export function customSource(name: string, get: Mirror['get']): ManifestSource {
  return { mirrors: [{ name, get }] }
}

export function mirrorOf(location: ManifestLocation, fetchBytes: FetchBytes): Mirror {
  switch (location.kind) {
    case 'https': {
      const { url } = location
      const get: Mirror['get'] = (path, limits) => fetchBytes(new URL(path, url), limits)
      return { name: `${url.origin}${url.pathname}`, get }
    }
    case 'directory': {
      const get: Mirror['get'] = (path, { maxBytes }) => readDocument(join(location.path, path), maxBytes)
      return { name: location.path, get }
    }
    case 'file':
      return { name: location.path, get: (path) => readFromBundle(location.path, path) }
    case 'bundle':
      return { name: location.path, get: async (path) => found(location.bundle.get(path)) }
    default:
      return location satisfies never
  }
}

/** The file whose change says that something was published: the status is the last one to be written. */
function fileIn(location: ManifestLocation): readonly string[] {
  if (location.kind === 'file') return [location.path]
  return location.kind === 'directory' ? [join(location.path, 'status.json')] : []
}

async function warnOfFrozenMount(file: string, { warn }: SourceListener, { mountInfo }: Watching): Promise<void> {
  const message = await frozenMount(file, mountInfo)
  if (message !== undefined) warn(file, message)
}
