import { AuthError } from '../errors/errors.ts'
import type { Attempt } from './scheme.ts'

/**
 * URLs are logged by everything on the way, and sent on as Referer: what stands in one is no secret any more (RFC 6750 §5.3).
 *
 * @param what For the message: `the secret of apiKey`.
 * @throws AuthError `ERR_AUTH_CREDENTIAL_IN_URL`
 */
export function refuseInUrl(what: string, text: string, { url, origin }: Pick<Attempt, 'url' | 'origin'>): void {
  if (!url.href.includes(text) && !url.href.includes(encodeURIComponent(text))) return
  const message = `${origin.text}: ${what} stands in the URL of the request; it belongs in a header`
  throw new AuthError('ERR_AUTH_CREDENTIAL_IN_URL', message, { host: origin.text })
}
