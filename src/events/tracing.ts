import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import { PinfetchError } from '../errors/errors.ts'

/** A piece of work as subscribers of its tracing channel see it: one object from `start` to `asyncEnd`. Public values only. */
export interface Trace {
  /** Of a failure: our code, or `aborted` where the caller’s own signal ended it. */
  code?: string
  /** Of a failure that is ours. */
  error?: PinfetchError
}

/** One call of `client.fetch`, its redirects and retries included, until its answer’s head is there. */
export interface RequestTrace extends Trace {
  /** Whose. */
  readonly client: object
  /** One of the methods of RFC 9110 and RFC 5789, `_OTHER` for the rest. */
  readonly method: string
  /** The origin, and of its path words and versions; `*` for the rest. Empty for what is no URL. */
  readonly url: string
  /** Adds a header field to the request that has none of this name; at `start` only. */
  readonly setHeader: (name: string, value: string) => void
  status?: number
}

/** One attempt at a connection. */
export interface ConnectTrace extends Trace {
  readonly host: string
}

/** One poll of the manifest’s sources. */
export interface ManifestTrace extends Trace {
  result?: 'changed' | 'unchanged' | 'failed' | 'shared'
}

/** One renewal of a token. */
export interface TokenTrace extends Trace {
  readonly trigger: 'first' | 'early' | 'expired' | 'rejected'
  readonly tenantHash?: string
}

/** Subscribe to `tracing:pinfetch.request:start` and so on, or to `tracingChannel('pinfetch.request')`. */
export const TRACES = {
  request: tracingChannel<unknown, RequestTrace>('pinfetch.request'),
  connect: tracingChannel<unknown, ConnectTrace>('pinfetch.connect'),
  manifestRefresh: tracingChannel<unknown, ManifestTrace>('pinfetch.manifest.refresh'),
  tokenRefresh: tracingChannel<unknown, TokenTrace>('pinfetch.token.refresh'),
} as const

/**
 * Does the work, and tells of it where somebody listens. Unlike `tracePromise` it publishes no result: what the work is done for
 * may be a secret.
 *
 * @param done What of the result may be told.
 */
export function traced<Context extends Trace, Result>(
  channel: TracingChannel<unknown, Context>,
  context: () => NoInfer<Context>,
  work: (context: Context | undefined) => Promise<Result>,
  done: (context: Context, result: Result) => void = () => {},
): Promise<Result> {
  if (!channel.hasSubscribers) return work(undefined)
  const told = context()
  const { start, end, asyncStart, asyncEnd, error } = channel
  const settle = (): void => {
    asyncStart.publish(told)
    asyncEnd.publish(told)
  }
  return start.runStores(told, async () => {
    try {
      const working = work(told)
      end.publish(told)
      const result = await working
      done(told, result)
      settle()
      return result
    } catch (thrown) {
      told.code = thrown instanceof PinfetchError ? thrown.code : 'aborted'
      if (thrown instanceof PinfetchError) told.error = thrown
      error.publish(told)
      settle()
      throw thrown
    }
  })
}

/** The same for work that calls back, with a PinfetchError where it failed. */
export function tracedCall<Context extends Trace, Result, Answer>(
  channel: TracingChannel<unknown, Context>,
  context: () => NoInfer<Context>,
  work: (done: (result: Result) => void) => Answer,
  done: (result: Result) => void,
): Answer {
  if (!channel.hasSubscribers) return work(done)
  const told = context()
  const { start, end, asyncStart, asyncEnd, error } = channel
  return start.runStores(told, () => {
    const answer = work((result) => {
      if (result instanceof PinfetchError) {
        Object.assign(told, { code: result.code, error: result } satisfies Trace)
        error.publish(told)
      }
      asyncStart.publish(told)
      try {
        done(result)
      } finally {
        asyncEnd.publish(told)
      }
    })
    end.publish(told)
    return answer
  })
}
