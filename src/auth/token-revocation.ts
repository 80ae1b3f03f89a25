import { AuthError, PinfetchError } from '../errors/errors.ts'
import { digest } from './held-token.ts'
import { raceSignal, wait } from './signals.ts'
import type { SessionWorld, TokenSession } from './token-session.ts'

type Hint = 'access_token' | 'refresh_token'

export interface Revocation {
  readonly world: SessionWorld
  readonly hints: readonly Hint[]
  /** What becomes of the sessions whose tokens were revoked. */
  readonly effect: 'ended' | 'forgotten'
  readonly signal: AbortSignal
  /** How long a server may ask to wait before it is asked once more. */
  readonly withinMs: number
}

/** Tells the authorization server that tokens are not needed any more (RFC 7009), and drops them. What fails is told by an event. */
export async function revokeTokens(sessions: readonly TokenSession[], revocation: Revocation): Promise<void> {
  const queue = sessions.values()
  const worker = async (): Promise<void> => {
    for (const session of queue) await revokeSession(session, revocation)
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, sessions.length) }, worker))
}

async function revokeSession(session: TokenSession, revocation: Revocation): Promise<void> {
  const { hints, effect, signal } = revocation
  let isRevoked = true
  for (const hint of hints) {
    const token = hint === 'refresh_token' ? session.refreshToken : session.current?.accessToken
    if (token === undefined) continue
    if (!(await revokeToken(token, hint, session, revocation)) && hint === 'refresh_token') isRevoked = false
  }
  // A refresh token that still lives stays where it can be found, unless it must not be used by anybody.
  if (isRevoked || effect === 'ended') await raceSignal(session.drop(effect), signal).catch(() => undefined)
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
