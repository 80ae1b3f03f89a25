import { ManifestError, PinfetchError } from '../errors/errors.ts'
import type { FetchedBytes, Runtime } from '../ports/runtime.ts'
import { UnusableSource } from './read-document.ts'
import { refusal, type Where } from './refusal.ts'
import type { Mirror } from './sources.ts'

export interface DocumentRequest {
  readonly path: string
  readonly where: Where
  readonly maxBytes: number
  readonly signal: AbortSignal
  readonly ifNoneMatch?: string | undefined
}

/**
 * One document from one mirror, within its own deadline, so that a mirror that hangs does not take the others with it.
 *
 * @returns The answer whatever its HTTP status, redirects excepted.
 * @throws ManifestError FETCH_TIMEOUT, FETCH_TOO_LARGE, FETCH_ENCODED, FETCH_REDIRECT or FETCH_NETWORK.
 */
export async function fetchDocument(mirror: Mirror, request: DocumentRequest, runtime: Runtime): Promise<FetchedBytes> {
  const { path, maxBytes, ifNoneMatch } = request
  const where: Where = { ...request.where, source: `${mirror.name} ${path}` }
  const deadline = new AbortController()
  const cancel = runtime.schedule(DOCUMENT_TIMEOUT_MS, () => deadline.abort())
  const signal = AbortSignal.any([request.signal, deadline.signal])
  try {
    const limits = { maxBytes, signal, ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }) }
    const answer = await untilAborted(mirror.get(path, limits), signal)
    if (answer.bytes.length > maxBytes) throw tooLarge(where, maxBytes)
    if (answer.status >= 300 && answer.status < 400 && answer.status !== 304) {
      throw refusal('ERR_MANIFEST_FETCH_REDIRECT', where, `answered ${answer.status}; redirects are not followed`)
    }
    const encoding = answer.headers['content-encoding'] ?? 'identity'
    if (encoding !== 'identity') {
      throw refusal(
        'ERR_MANIFEST_FETCH_ENCODED',
        where,
        `sent with content-encoding ${JSON.stringify(encoding.slice(0, 20))}`,
      )
    }
    return answer
  } catch (error) {
    if (error instanceof ManifestError) throw error
    if (deadline.signal.aborted) {
      throw refusal('ERR_MANIFEST_FETCH_TIMEOUT', where, `nothing complete within ${DOCUMENT_TIMEOUT_MS} ms`)
    }
    const code = error instanceof PinfetchError ? error.code : undefined
    if (code === 'ERR_TRANSPORT_BODY_TOO_LARGE') throw tooLarge(where, maxBytes, error)
    if (code === 'ERR_TRANSPORT_TIMEOUT') {
      throw refusal('ERR_MANIFEST_FETCH_TIMEOUT', where, 'nothing complete in time', { cause: error })
    }
    const why = error instanceof UnusableSource ? `: ${error.message}` : ''
    throw refusal('ERR_MANIFEST_FETCH_NETWORK', where, `could not be fetched${why}`, { cause: error })
  } finally {
    cancel()
  }
}

/** The refusal for an HTTP status that is no document, with the server's wish for a pause. */
export function badAnswer(
  code: 'ERR_MANIFEST_FETCH_HTTP' | 'ERR_MANIFEST_UNAVAILABLE' | 'ERR_MANIFEST_BLOB_UNAVAILABLE',
  { status, headers }: FetchedBytes,
  where: Where,
  runtime: Runtime,
) {
  const retryAfterMs = parseRetryAfter(headers['retry-after'], runtime.clock.now())
  return refusal(code, where, `answered HTTP ${status}`, retryAfterMs === undefined ? {} : { retryAfterMs })
}

/** RFC 9110 §10.2.3, clamped: a year would freeze the client, nothing at all would be a loop. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  const ms = /^\d{1,12}$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - now
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 1_000), 86_400_000)
}

/** A source of the application's own may ignore the signal; waiting for it ends all the same. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function tooLarge(where: Where, maxBytes: number, cause?: unknown) {
  return refusal('ERR_MANIFEST_FETCH_TOO_LARGE', where, `longer than ${maxBytes} bytes`, { cause })
}

const DOCUMENT_TIMEOUT_MS = 5_000 // a small file that takes longer is better asked for elsewhere
