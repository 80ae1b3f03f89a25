import type { FetchedBytes, FetchLimits } from '../ports/runtime.ts'
import { found, UnusableSource } from './read-document.ts'
import type { ManifestSource, SourceListener } from './sources.ts'

/**
 * A source of the application’s own: a bucket, a database, a message bus. It need not be trusted: whatever it answers is
 * verified like a document from the network, and stays within its limits.
 */
export interface CustomSource {
  /** For messages and events. Default `custom`. */
  readonly name?: string
  /**
   * The document under a path such as `status.json` or `roots/2.json`: its bytes, `undefined` when there is none, or an answer
   * as of HTTP, which may say more: 304 to `ifNoneMatch`, an `etag`, a `retry-after`. Rejects when it could not find out.
   */
  readonly get: (path: string, limits: FetchLimits) => Promise<Uint8Array | undefined | CustomAnswer>
  /**
   * Called once, at the start. Each `changed()` leads to a refresh, attempts being at least a second apart; nothing else that
   * a push says is taken from it. May return what ends the subscription.
   */
  readonly watch?: (changed: () => void) => unknown
  /** Called once, after the last `get`. */
  readonly close?: () => unknown
}

/** What a source of your own answers: a status as in HTTP, 304 included, and the bytes. */
export interface CustomAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly bytes?: Uint8Array
}

/** Holds what an application gave to what it promised; whatever fails in there becomes a refusal or an event. */
export function adaptSource(custom: CustomSource): ManifestSource {
  const { name = 'custom' } = custom
  return {
    mirrors: [{ name, get: async (path, limits) => answerOf(await custom.get(path, limits)) }],
    watch: (listener) => subscribe(custom, name, listener),
    close: async () => void (await custom.close?.()),
  }
}

function subscribe(custom: CustomSource, name: string, { changed, warn }: SourceListener): () => void {
  let ended = false
  const failed = (error: unknown): void => {
    if (!ended) warn(name, `watch failed, so polling alone finds changes: ${messageOf(error)}`)
  }
  const subscribed = (async () => custom.watch?.(() => ended || changed()))()
  subscribed.catch(failed)
  return () => {
    ended = true
    subscribed.then((end) => (typeof end === 'function' ? end() : undefined)).catch(() => undefined) // told when it happened, or of no consequence any more
  }
}

function answerOf(given: Uint8Array | undefined | CustomAnswer): FetchedBytes {
  if (given === undefined || given instanceof Uint8Array) return found(given)
  const { status, headers = {}, bytes = new Uint8Array() } = given
  if (!Number.isInteger(status) || !(bytes instanceof Uint8Array)) {
    throw new UnusableSource(
      'the source answered something else than a Uint8Array, undefined, or { status, headers, bytes }',
    )
  }
  const lowerCase = Object.entries(headers).map(([header, value]) => [header.toLowerCase(), value])
  return { status, headers: Object.fromEntries(lowerCase), bytes }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
