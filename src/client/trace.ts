import { canonicalOrigin } from '../encoding/host.ts'
import { type RequestTrace, TRACES, traced } from '../events/tracing.ts'
import { shownMethod } from '../transport/exchange-record.ts'
import { withInherited } from './fetch.ts'
import { withSoundFields } from './fields.ts'
import { shownPath } from './notices.ts'
import type { GivenRequest } from './replay.ts'

type Fetch = typeof globalThis.fetch

/** Tells `tracing:pinfetch.request` of every call, where somebody listens. */
export function tracedFetch(fetch: Fetch, client: () => object): Fetch {
  return (input, init) => {
    if (!TRACES.request.hasSubscribers) return fetch(input, init)
    const added = new Map<string, string>()
    try {
      const request = isRequest(input) ? input : undefined
      const told: RequestTrace = {
        client: client(),
        method: shownMethod(String(init?.method ?? request?.method ?? 'GET')),
        url: shownUrl(String(request === undefined ? input : request.url)),
        setHeader: (name, value) => void added.set(name, value),
      }
      return traced(
        TRACES.request,
        () => told,
        () => (added.size === 0 ? fetch(input, init) : withFields(fetch, { input, init: withInherited(init) }, added)),
        (ended, { status }) => {
          ended.status = status
        },
      )
    } catch (error) {
      return Promise.reject(error) // fetch never throws
    }
  }
}

/** @throws PolicyError for fields that are refused without those that were added as well. */
function withFields(fetch: Fetch, given: GivenRequest, added: ReadonlyMap<string, string>): Promise<Response> {
  const { input, init } = withSoundFields(given, hostOf(given.input))
  const headers = new Headers(init.headers ?? (isRequest(input) ? input.headers : undefined))
  for (const [name, value] of added) if (!headers.has(name)) headers.set(name, value)
  return fetch(input, { ...init, headers })
}

const hostOf = (input: Parameters<Fetch>[0]): string => {
  const text = String(isRequest(input) ? input.url : input)
  return URL.canParse(text) ? new URL(text).host : ''
}

/** Of the npm package's realm too, whose classes are none of the runtime's. */
const isRequest = (input: Parameters<Fetch>[0]): input is Request =>
  typeof input === 'object' && input !== null && 'url' in input && 'headers' in input

function shownUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const origin = url && canonicalOrigin(url)
  return url === undefined || origin === undefined
    ? ''
    : `${url.protocol}//${origin.text}${shownPath(url.pathname) || '/'}`
}
