import { PinfetchError } from '../errors/errors.ts'
import type { Dpop } from './dpop.ts'
import type { Attempt, Authenticator, AuthHost } from './scheme.ts'

/**
 * Before a body that cannot be sent again goes to an origin whose nonce nobody knows: a HEAD request for the same URL, with the
 * token and a proof of its own, whose answer names the nonce. Whatever else comes of it is of no interest.
 */
export function primeNonce(inner: Authenticator, dpop: Dpop, { fetch }: Pick<AuthHost, 'fetch'>): Authenticator {
  const prime = async (attempt: Attempt): Promise<void> => {
    const { url, signal } = attempt
    const head: Attempt = { ...attempt, method: 'HEAD', isReplayable: true, number: 0, state: undefined }
    try {
      const headers = await inner.apply(head)
      const response = await fetch(url, { method: 'HEAD', headers, redirect: 'manual', signal })
      dpop.learn(url, response.headers)
    } catch (error) {
      if (!(error instanceof PinfetchError)) throw error // the request itself will meet the same, and say so
    }
  }
  return {
    ...inner,
    apply: (attempt) => {
      const isNeeded = !attempt.isReplayable && attempt.number === 0 && !dpop.hasNonce(attempt.url)
      if (!isNeeded || attempt.headers.has('authorization')) return inner.apply(attempt)
      return prime(attempt).then(() => inner.apply(attempt))
    },
  }
}
