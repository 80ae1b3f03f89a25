import { AuthError, PinfetchError } from '../errors/errors.ts'
import { raceSignal, wait } from '../ports/signals.ts'
import { digest } from './held-token.ts'
import type { SessionWorld, TokenSession } from './token-session.ts'

type Hint = 'access_token' | 'refresh_token'

export interface Revocation {
  readonly world: SessionWorld
  readonly hints: readonly Hint[]
  readonly signal: AbortSignal
  /** How long a server may ask to wait before it is asked once more. */
  readonly withinMs: number
}

/**
 * For the end of a process: tells the authorization server that tokens are not needed any more (RFC 7009), and drops what it then
 * revoked. What fails is told by an event; a refresh token that still lives stays where it can be found.
 */
export async function revokeHeld(sessions: readonly TokenSession[], revocation: Revocation): Promise<void> {
  const { hints, signal, world } = revocation
  await eachOf(sessions, async (session) => {
    let isRevoked = true
    for (const hint of hints) {
      const token = hint === 'refresh_token' ? session.refreshToken : session.current?.accessToken
      if (token === undefined) continue
      if (!(await revokeToken(token, hint, session, revocation)) && hint === 'refresh_token') isRevoked = false
    }
    if (!isRevoked) return
    // The next process must not begin again with the configured refresh token, which is spent.
    const dropped = world.endpoint.initialRefreshToken === undefined ? session.forget() : session.end()
    await raceSignal<unknown>(dropped, signal).catch(() => undefined)
  })
}

/** For containment: ends the sessions first, so that nobody goes on with them, whatever becomes of telling the server. */
export async function endSessions(sessions: readonly TokenSession[], revocation: Revocation): Promise<void> {
  const { hints, signal } = revocation
  await eachOf(sessions, async (session) => {
    const ended = await raceSignal(session.end(), signal).catch(() => undefined)
    for (const hint of hints) {
      const tokens = hint === 'refresh_token' ? ended?.refreshTokens : ended?.accessTokens
      for (const token of tokens ?? []) await revokeToken(token, hint, session, revocation)
    }
  })
}

async function eachOf(
  sessions: readonly TokenSession[],
  work: (session: TokenSession) => Promise<void>,
): Promise<void> {
  const queue = sessions.values()
  const worker = async (): Promise<void> => {
    for (const session of queue) await work(session)
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, sessions.length) }, worker))
}

async function revokeToken(token: string, hint: Hint, session: TokenSession, revocation: Revocation): Promise<boolean> {
  const { world, signal, withinMs } = revocation
  const tenantHash = session.tenant === undefined ? {} : { tenantHash: digest(session.tenant) }
  for (let attempt = 1; ; attempt += 1) {
    try {
      await raceSignal(world.endpoint.revoke(token, hint, signal), signal)
      world.emit({ type: 'token.revoked', hint, result: 'revoked', ...tenantHash })
      return true
    } catch (error) {
      const waitMs = error instanceof AuthError ? error.retryAfterMs : undefined
      if (waitMs === undefined || waitMs > withinMs || attempt === MAX_ATTEMPTS || signal.aborted) {
        const code = error instanceof PinfetchError ? { code: error.code } : {}
        world.emit({ type: 'token.revoked', hint, result: 'failed', ...code, ...tenantHash })
        return false
      }
      await wait(world.runtime, waitMs, signal).catch(() => undefined)
    }
  }
}

const AT_ONCE = 8
const MAX_ATTEMPTS = 3
