import { canonicalOrigin } from '../encoding/host.ts'
import { type RequestTrace, TRACES, traced } from '../events/tracing.ts'
import { shownMethod } from '../transport/exchange-record.ts'
import { shownPath } from './notices.ts'

type Fetch = typeof globalThis.fetch

/** Tells `tracing:pinfetch.request` of every call, where somebody listens. */
export function tracedFetch(fetch: Fetch, client: () => object): Fetch {
  return (input, init) => {
    if (!TRACES.request.hasSubscribers) return fetch(input, init)
    const added = new Map<string, string>()
    const method = init?.method ?? (input instanceof Request ? input.method : 'GET')
    const context = (): RequestTrace => ({
      client: client(),
      method: shownMethod(method),
      url: shownUrl(input instanceof Request ? input.url : String(input)),
      setHeader: (name, value) => void added.set(name, value),
    })
    return traced(
      TRACES.request,
      context,
      () => fetch(input, added.size === 0 ? init : { ...init, headers: withFields(input, init, added) }),
      (told, { status }) => {
        told.status = status
      },
    )
  }
}

function withFields(
  input: Parameters<Fetch>[0],
  init: RequestInit | undefined,
  added: ReadonlyMap<string, string>,
): Headers {
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
  for (const [name, value] of added) if (!headers.has(name)) headers.set(name, value)
  return headers
}

function shownUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const origin = url && canonicalOrigin(url)
  return url === undefined || origin === undefined
    ? ''
    : `${url.protocol}//${origin.text}${shownPath(url.pathname) || '/'}`
}
