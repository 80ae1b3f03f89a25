import { TransportError } from '../errors/errors.ts'
import type { CallTime } from '../transport/call.ts'
import type { PinnedDispatcher } from '../transport/dispatcher.ts'
import { createFullRoad, type RoadOptions } from './full-road.ts'
import { sendLean } from './lean-road.ts'
import { type DefaultHeaders, leanRequest } from './request.ts'

/** A call of the caller's, where it may take several requests: redirects that are followed. */
export interface Call extends CallTime {
  /** Redirects followed so far. */
  hops: number
  /**
   * A redirect led to another origin. What was meant for the first is gone for good, also where a later redirect leads back: by
   * then another server chose what is asked.
   */
  hasLeftOrigin: boolean
}

/**
 * Sends one request and follows nothing. `url` is what `input` names.
 *
 * @param call The call that the request is part of; `undefined` where it is the only one of it.
 */
export type Send = (input: string | URL | Request, init: RequestInit, url: URL, call?: Call) => Promise<Response>

/**
 * Two roads to one dispatcher. The full one is the runtime's own fetch, so that Request, FormData and streams are those of the
 * global realm: the npm package's fetch belongs to another one, where a global FormData becomes the text `[object FormData]`.
 * The lean one is for plain requests, most of them, at a fraction of the cost; what it answers is the same.
 *
 * The fetch is captured here, once. Where it is not the runtime's own (mocks, framework caches), every request goes through it.
 */
export function sendOver(dispatcher: PinnedDispatcher, options: RoadOptions): Road {
  const { limits, inspect } = options
  const fetch = globalThis.fetch
  const isOwn = isRuntimeFetch(fetch)
  const full = createFullRoad(fetch, dispatcher, options)
  /** By port; `undefined` where fetch sends nothing (WHATWG Fetch §2.9, port blocking), and says so on the full road. */
  const known = new Map<string, DefaultHeaders | undefined>()

  const ask = async (port: string): Promise<void> => {
    const defaults = known.get('') ?? (await recordDefaults(fetch, ''))
    if (defaults === undefined) throw patched()
    known.set('', defaults)
    if (port !== '') known.set(port, (await recordDefaults(fetch, port)) && defaults)
  }
  const send: Send = (input, init, url, call) => {
    const defaults = isOwn ? known.get(url.port) : undefined
    const request = defaults === undefined || endsInQuestion(url) ? undefined : leanRequest(input, init, defaults)
    if (request === undefined) return full(input, init, url, call)
    return sendLean(dispatcher, request, { url, host: url.host, limits, call, inspect })
  }
  const portOf = (url: URL): string => (isOwn ? url.port : '')
  return {
    send: (input, init, url, call) => {
      const port = portOf(url)
      return known.has(port) ? send(input, init, url, call) : ask(port).then(() => send(input, init, url, call))
    },
    defaults: async (url) => {
      const port = portOf(url)
      if (!known.has(port)) await ask(port)
      return known.get(port) ?? []
    },
  }
}

export interface Road {
  readonly send: Send
  /** What the runtime's fetch adds to a request. */
  readonly defaults: (url: URL) => Promise<DefaultHeaders>
}

/** By its source: whatever wraps it has another, and a function that is bound or proxied shows none. */
function isRuntimeFetch(fetch: typeof globalThis.fetch): boolean {
  return Function.prototype.toString.call(fetch).includes("require('internal/deps/undici/undici')")
}

/**
 * One call that goes nowhere: the name is reserved (RFC 6761 §6.4), and the dispatcher that is asked refuses. A fetch that was
 * patched earlier and copies the init members it knows would drop the dispatcher, and with it every check.
 *
 * @returns What the runtime's fetch adds to a request; `undefined` when it did not ask.
 */
async function recordDefaults(fetch: typeof globalThis.fetch, port: string): Promise<DefaultHeaders | undefined> {
  let headers: DefaultHeaders | undefined
  const dispatcher = {
    dispatch: (options: { readonly headers?: object }): never => {
      headers = Object.entries(options.headers ?? {})
      throw new TypeError('only a probe')
    },
  }
  const init: object = { dispatcher, redirect: 'manual', method: 'POST', body: 'x' }
  await fetch(`https://pinfetch.invalid:${port}/`, init).catch(() => undefined)
  return headers
}

function patched(): TransportError {
  const message = 'the fetch of this process was replaced by one that drops the dispatcher, so nothing was sent'
  return new TransportError('ERR_TRANSPORT_FETCH_PATCHED', message)
}

/** Whether an empty query is sent as `?` differs between the runtimes. */
function endsInQuestion({ search, href, hash }: URL): boolean {
  return search === '' && href.slice(0, href.length - hash.length).includes('?')
}
