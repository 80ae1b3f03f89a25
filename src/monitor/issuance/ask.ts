import { parseStrictJson } from '../../encoding/json.ts'
import { MonitorError, PinfetchError } from '../../errors/errors.ts'
import { parseRetryAfter } from '../../manifest/fetch-document.ts'
import { readWhole } from '../../ports/read-whole.ts'
import type { Runtime } from '../../ports/runtime.ts'
import { raceSignal } from '../../ports/signals.ts'

/** What sources ask with: the application's own client, and an end. */
export interface Asking {
  readonly fetch: typeof globalThis.fetch
  readonly runtime: Runtime
  readonly signal: AbortSignal
}

export interface Question {
  /** For messages. */
  readonly source: string
  readonly maxBytes: number
  /** A bearer token. It goes to the base URL that the application named, and no redirect is followed. */
  readonly token?: string | undefined
  /** `'absent'`: 404 is an answer, `undefined`. */
  readonly missing?: 'absent'
}

/**
 * One GET of a source that is believed nothing: as many octets as the answer may have, within its time, no redirect.
 *
 * @throws MonitorError `ERR_MONITOR_SOURCE_…`
 */
export async function ask(url: URL, question: Question, asking: Asking): Promise<Uint8Array | undefined> {
  const { source, token, missing } = question
  const { runtime } = asking
  const deadline = new AbortController()
  const cancel = runtime.schedule(TIMEOUT_MS, () => deadline.abort())
  const signal = AbortSignal.any([asking.signal, deadline.signal])
  try {
    const headers = { accept: '*/*', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
    // A fetch of the application's own may ignore the signal.
    const response = await raceSignal(asking.fetch(url.href, { headers, redirect: 'manual', signal }), signal)
    if (response.status === 200) return await readBody(response, question, signal)
    void response.body?.cancel().catch(() => undefined)
    if (response.status === 404 && missing === 'absent') return undefined
    throw badStatus(response, source, runtime)
  } catch (error) {
    if (error instanceof MonitorError) throw error
    asking.signal.throwIfAborted()
    const why = deadline.signal.aborted ? `nothing complete within ${TIMEOUT_MS} ms` : reasonOf(error)
    throw new MonitorError('ERR_MONITOR_SOURCE_UNREACHABLE', `${source}: ${why}`, { cause: error })
  } finally {
    cancel()
  }
}

/** @throws MonitorError `ERR_MONITOR_SOURCE_MALFORMED` */
export function jsonOf(bytes: Uint8Array, source: string): unknown {
  const parsed = parseStrictJson(bytes)
  if (parsed.ok) return parsed.value
  throw malformed(source, `no JSON document (${parsed.failure})`)
}

export const malformed = (source: string, what: string): MonitorError =>
  new MonitorError('ERR_MONITOR_SOURCE_MALFORMED', `${source}: ${what}`)

async function readBody({ body }: Response, { source, maxBytes }: Question, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = await readWhole(body, maxBytes, signal)
  if (bytes !== undefined) return bytes
  throw new MonitorError('ERR_MONITOR_SOURCE_TOO_LARGE', `${source}: answered more than ${maxBytes} bytes`)
}

function badStatus({ status, headers }: Response, source: string, { clock }: Runtime): MonitorError {
  const retryAfterMs = parseRetryAfter(headers.get('retry-after') ?? undefined, clock.now())
  const details = retryAfterMs === undefined ? {} : { retryAfterMs }
  const answered = `${source}: answered HTTP ${status}`
  if (status === 429) return new MonitorError('ERR_MONITOR_SOURCE_LIMITED', answered, details)
  if (status === 0 || (status >= 300 && status < 400)) {
    return new MonitorError('ERR_MONITOR_SOURCE_REDIRECT', `${answered}; redirects are not followed`)
  }
  return new MonitorError('ERR_MONITOR_SOURCE_STATUS', answered, details)
}

/** What others wrote may repeat what was sent; what this library wrote does not. */
const reasonOf = (error: unknown): string =>
  error instanceof PinfetchError ? (error.message.split('\n')[0] ?? '') : 'could not be asked'

const TIMEOUT_MS = 60_000 // public sources search for long
