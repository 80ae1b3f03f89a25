import type { Attempt } from '../../src/auth/scheme.ts'
import type { TokenEndpoint, TokenRequest } from '../../src/auth/token.ts'
import { createTokenManager, type TokenManagerSetup, type TokenSource } from '../../src/auth/token-manager.ts'
import type { TokenContent } from '../../src/auth/token-record.ts'
import { canonicalOrigin } from '../../src/encoding/host.ts'
import { AuthError } from '../../src/errors/errors.ts'
import type { ClientEvent, EventOf } from '../../src/events/events.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { memoryTokenStore } from '../../src/stores/tokens/memory.ts'
import type { StoredToken, TokenStore } from '../../src/stores/tokens/store.ts'
import { createTestRuntime, type TestRuntime } from '../../src/testing/runtime.ts'

/** An authorization server that issues `access-1`, `access-2`, …, and rotates refresh tokens with reuse detection. */
export interface ScriptedServer extends TokenEndpoint {
  readonly requests: TokenRequest[]
  readonly revoked: { readonly token: string; readonly hint: string }[]
  /** What becomes of the next requests; when there is nothing left, they are granted. */
  readonly script: Step[]
  /** The refresh token that is good now; `undefined`: the session is dead. */
  refreshToken: string | undefined
  readonly spent: Set<string>
  lifetimeMs: number | undefined
  issued: number
  /** How long every request takes. */
  delayMs: number
  initial: string | undefined
}

export type Step =
  /** Nothing was sent. */
  | 'unreachable'
  /** The server did what it was asked, and its answer got lost. */
  | 'answer lost'
  /** The request got lost on the way. */
  | 'request lost'
  | '500'
  /** The server rotated the refresh token, and the rest of its answer is no good. */
  | 'invalid after rotation'
  | 'hang'
  | { readonly retryAfterMs: number }
  | ((request: TokenRequest) => Promise<void>)

export interface ServerOptions {
  readonly runtime: TestRuntime
  readonly kind: 'client_credentials' | 'refresh_token'
  readonly rotates?: boolean
}

function scriptedServer({ runtime, kind, rotates = true }: ServerOptions): ScriptedServer {
  const isRefresh = kind === 'refresh_token'
  const unavailable = (requestSent: 'no' | 'maybe' | 'yes'): AuthError =>
    new AuthError('ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE', 'as.example: scripted', { requestSent })
  const pause = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const cancel = ms === Number.POSITIVE_INFINITY ? () => undefined : runtime.schedule(ms, resolve)
      signal.addEventListener('abort', () => {
        cancel()
        reject(signal.reason)
      })
    })
  const redeem = (request: TokenRequest): string | undefined => {
    if (!isRefresh) return undefined
    const { refreshToken } = request
    if (refreshToken === undefined || refreshToken !== server.refreshToken) {
      if (refreshToken !== undefined && server.spent.has(refreshToken)) server.refreshToken = undefined // reuse detection
      throw new AuthError('ERR_AUTH_GRANT_REJECTED', 'as.example: invalid_grant', {
        oauthError: 'invalid_grant',
        requestSent: 'yes',
      })
    }
    if (!rotates) return undefined
    server.spent.add(refreshToken)
    server.refreshToken = `refresh-${server.issued + 1}`
    return server.refreshToken
  }
  const server: ScriptedServer = {
    requests: [],
    revoked: [],
    script: [],
    refreshToken: isRefresh ? 'refresh-0' : undefined,
    spent: new Set(),
    lifetimeMs: 600_000,
    issued: 0,
    delayMs: 0,
    initial: isRefresh ? 'refresh-0' : undefined,
    request: async (request) => {
      server.requests.push(request)
      const step = server.script.shift()
      if (server.delayMs > 0) await pause(server.delayMs, request.signal)
      if (step === 'unreachable') throw unavailable('no')
      if (step === 'request lost') throw unavailable('maybe')
      if (step === '500') throw unavailable('yes')
      if (step === 'hang') await pause(Number.POSITIVE_INFINITY, request.signal)
      if (typeof step === 'function') await step(request)
      if (typeof step === 'object') {
        const { retryAfterMs } = step
        throw new AuthError('ERR_AUTH_TOKEN_ENDPOINT_THROTTLED', 'as.example: 429', {
          retryAfterMs,
          requestSent: 'yes',
        })
      }
      const refreshToken = redeem(request)
      server.issued += 1
      if (step === 'answer lost') throw unavailable('maybe')
      if (refreshToken !== undefined) await request.onRotated(refreshToken)
      if (step === 'invalid after rotation') {
        throw new AuthError('ERR_AUTH_TOKEN_RESPONSE_INVALID', 'as.example: scripted', { requestSent: 'yes' })
      }
      const receivedAt = runtime.clock.now()
      const { lifetimeMs } = server
      return {
        accessToken: `access-${server.issued}`,
        tokenType: 'Bearer',
        receivedAt,
        expiresAt: lifetimeMs === undefined ? undefined : toUnixMs(receivedAt + lifetimeMs),
        refreshToken,
        scope: ['read'],
      }
    },
    revoke: async (token, hint) => void server.revoked.push({ token, hint }),
    cacheKey: async (tenant) => `as.example/${kind}/${tenant ?? ''}`,
    ...(isRefresh && { initialRefreshToken: async () => server.initial ?? 'none' }),
  }
  return server
}

export interface TokenScene {
  readonly runtime: TestRuntime
  readonly server: ScriptedServer
  readonly tokens: TokenSource
  readonly events: ClientEvent[]
  readonly told: <Type extends ClientEvent['type']>(type: Type) => readonly EventOf<Type>[]
  /** The access token that a request would carry now. */
  readonly text: (options?: Parameters<TokenSource['get']>[0]) => Promise<string>
  /** Another process with the same server, and the same store where there is one. */
  readonly sibling: (setup?: Partial<TokenManagerSetup>) => TokenScene
}

export type SceneOptions = Partial<TokenManagerSetup> & {
  readonly kind?: ServerOptions['kind']
  readonly rotates?: boolean
}

export function tokenScene({ kind = 'client_credentials', rotates, ...setup }: SceneOptions = {}): TokenScene {
  const runtime = createTestRuntime()
  const server = scriptedServer({ runtime, kind, ...(rotates !== undefined && { rotates }) })
  return sceneOf(runtime, server, { grant: kind, ...setup })
}

function sceneOf(
  runtime: TestRuntime,
  server: ScriptedServer,
  setup: Partial<TokenManagerSetup> & { readonly grant: string },
): TokenScene {
  const events: ClientEvent[] = []
  const tokens = createTokenManager({ endpoint: server, runtime, emit: (event) => void events.push(event), ...setup })
  return {
    runtime,
    server,
    tokens,
    events,
    told: (type) => events.filter((event) => event.type === type) as never,
    text: async (options) => tokens.reveal(await tokens.get(options)),
    sibling: (other = {}) => sceneOf(runtime, server, { ...setup, ...other }),
  }
}

export interface SharedScene extends TokenScene {
  readonly store: ScriptedStore
  /** The newest. */
  readonly record: () => StoredToken | undefined
  readonly content: () => TokenContent
}

/** A rotating refresh token in a store that several managers share. */
export function sharedScene(options: SceneOptions = {}): SharedScene {
  const alone = tokenScene({ kind: 'refresh_token', ...options })
  const store = scriptedStore(alone.runtime)
  const record = (): StoredToken | undefined => [...store.records.values()].at(-1)
  const content = (): TokenContent => JSON.parse(record()?.sealed ?? '{}') as TokenContent
  return { ...alone.sibling({ store }), store, record, content }
}

/** A store of this process whose every operation a test can see, hold up or break. */
export interface ScriptedStore extends TokenStore {
  readonly calls: string[]
  /** Thrown by the operations that are named. */
  broken: Partial<Record<'load' | 'compareAndSwap' | 'lease' | 'renew', unknown>>
  /** Runs before an operation is done. */
  before: ((operation: string, next?: StoredToken) => Promise<void> | void) | undefined
  /** The write is done, and its caller never hears of it. */
  losesAnswers: boolean
  readonly records: Map<string, StoredToken>
}

function scriptedStore(runtime: TestRuntime): ScriptedStore {
  const inner = memoryTokenStore({ runtime })
  const records = new Map<string, StoredToken>()
  const step = async (operation: keyof ScriptedStore['broken'], next?: StoredToken): Promise<void> => {
    store.calls.push(operation)
    await store.before?.(operation, next)
    if (store.broken[operation] !== undefined) throw store.broken[operation]
  }
  const store: ScriptedStore = {
    calls: [],
    broken: {},
    before: undefined,
    losesAnswers: false,
    records,
    load: async (key, signal) => {
      await step('load')
      return await inner.load(key, signal)
    },
    compareAndSwap: async (key, expected, next, options) => {
      await step('compareAndSwap', next)
      const isWritten = await inner.compareAndSwap(key, expected, next, options)
      if (isWritten) records.set(key, next)
      if (store.losesAnswers) throw new Error('the answer of the store got lost')
      return isWritten
    },
    lease: async (key, options) => {
      await step('lease')
      const lease = await inner.lease(key, options)
      if (lease === undefined) return undefined
      return {
        ...lease,
        renew: async (ms) => {
          await step('renew')
          return await lease.renew(ms)
        },
        [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
      }
    },
    remove: async (key, expected) => {
      const isRemoved = await inner.remove(key, expected)
      if (isRemoved) records.delete(key)
      return isRemoved
    },
  }
  return store
}

export function attemptTo(href: string, changes: Partial<Attempt> = {}): Attempt {
  const url = new URL(href)
  const origin = canonicalOrigin(url)
  if (origin === undefined) throw new Error(`${href}: no origin`)
  return { method: 'GET', url, origin, headers: new Headers(), isReplayable: true, number: 0, signal: null, ...changes }
}

/** Lets go on whatever does not wait for the clock. */
export const settle = (runtime: TestRuntime): Promise<void> => runtime.advance(0)
