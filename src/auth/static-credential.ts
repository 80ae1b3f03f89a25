import { KeyError } from '../errors/errors.ts'
import { REDACTED } from '../keys/secret.ts'
import { type OpenSecret, openSecret, type SecretSource, type SecretVersion } from '../keys/secret-source.ts'
import type { Attempt, Authenticator, AuthScheme, HeaderPatch } from './scheme.ts'
import { refuseInUrl } from './secret-in-url.ts'

export interface StaticCredential {
  readonly name: string
  /** Lower case. */
  readonly header: string
  readonly source: SecretSource
  readonly allowedOrigins: readonly string[]
  readonly overlapMs: number | undefined
  /**
   * The value of the header.
   *
   * @throws KeyError where the secret cannot stand in it.
   */
  readonly render: (secret: string) => string
}

/**
 * A scheme whose credential is the secret itself. A 401 has the source read again: another version is tried at once, and where
 * the version in force is a fresh one that this server does not know yet, the one before it.
 */
export function staticCredential(credential: StaticCredential): AuthScheme {
  const { name, header, source, allowedOrigins, overlapMs, render } = credential
  return Object.freeze({
    name,
    credentialHeaders: Object.freeze([header]),
    allowedOrigins,
    bind: ({ runtime, emit }) => {
      const secret = openSecret(source, { name, runtime, emit, ...(overlapMs === undefined ? {} : { overlapMs }) })
      return authenticator(name, header, secret, render)
    },
    toJSON: () => ({ name, allowedOrigins, source: REDACTED }),
  } satisfies AuthScheme & { toJSON: () => unknown })
}

function authenticator(
  name: string,
  header: string,
  secret: OpenSecret,
  render: StaticCredential['render'],
): Authenticator {
  /** A server refused the version in force and took the one before: it stays with that until another version comes. */
  const usesPrevious = new Map<string, string>()

  const patch = (attempt: Attempt, held: SecretVersion): HeaderPatch => {
    const before = usesPrevious.get(attempt.origin.text) === held.version ? secret.previous() : undefined
    const chosen = before ?? held
    const text = chosen.secret.reveal()
    refuseInUrl(`the secret of ${name}`, text, attempt)
    attempt.state = chosen.version
    return { [header]: render(text) }
  }

  return {
    apply: (attempt) => {
      const held = secret.current()
      return held instanceof Promise ? held.then((version) => patch(attempt, version)) : patch(attempt, held)
    },
    onResponse: async ({ status }, attempt) => {
      if (status !== 401 || attempt.number > 0 || typeof attempt.state !== 'string') return 'done'
      const refused = attempt.state
      const origin = attempt.origin.text
      const held = await readAgain(secret, refused)
      if (held === undefined) return 'done' // the 401 says more than a source that fails
      if (held.version !== refused) {
        usesPrevious.delete(origin)
        return { retry: 'token', reason: 'the secret was rotated' }
      }
      if (secret.previous() === undefined) return 'done'
      if (usesPrevious.size >= MAX_ORIGINS) usesPrevious.clear()
      usesPrevious.set(origin, held.version)
      return { retry: 'token', reason: 'the server may not know the new secret yet' }
    },
    close: async () => secret.close(),
  }
}

async function readAgain(secret: OpenSecret, refused: string): Promise<SecretVersion | undefined> {
  try {
    return await secret.current(refused)
  } catch (error) {
    if (error instanceof KeyError) return undefined
    throw error
  }
}

const MAX_ORIGINS = 1_000
