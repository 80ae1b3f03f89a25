import type { AuthScheme } from '../auth/scheme.ts'
import { ConfigurationError } from '../errors/errors.ts'

/** Whether a header field carries a credential: such a field never follows a redirect to another origin. */
export type IsCredential = (name: string) => boolean

/**
 * What is known to be one, what the schemes of this client say, and whatever has a name that says so itself. A field too many
 * costs a request that the other origin refuses; one too few gives a secret away.
 *
 * @throws ConfigurationError for what a scheme says that is no field name: it would protect nothing.
 */
export function credentialHeaders(schemes: readonly Pick<AuthScheme, 'name' | 'credentialHeaders'>[]): IsCredential {
  const names = new Set(KNOWN)
  for (const scheme of schemes) {
    for (const name of scheme.credentialHeaders) {
      if (!TOKEN.test(name)) {
        const message = `auth: ${scheme.name} names ${JSON.stringify(name)}, which is no header field, as one with its credential`
        throw new ConfigurationError('ERR_CONFIG_INVALID', message)
      }
      names.add(name.toLowerCase())
    }
  }
  return (name) => {
    const lower = name.toLowerCase()
    return names.has(lower) || TELLING.test(lower) || TELLING_SHORT.test(lower)
  }
}

const KNOWN: readonly string[] = [
  'authorization', // RFC 9110 §11.6.2
  'cookie', // RFC 6265 §5.4
  'proxy-authorization', // RFC 9110 §11.7.2
  'dpop', // RFC 9449 §4
  'signature', // RFC 9421 §4.2
  'signature-input', // RFC 9421 §4.1
  'x-api-key',
  'x-amz-security-token',
  'x-jws-signature',
  'idempotency-key', // whoever knows it can have the answer of the request that it was made for
]
const TELLING = /auth|token|secret|key|pass[wcp]|pwd|credential|bearer|session|signature|assertion|cookie|client-cert/
const TELLING_SHORT = /[cx]srf|jw[est]|saml|dpop|hmac|(?:^|-)(?:sig|t?otp|pin|pass|pw|pat|ticket|sid|mac)(?:-|$)/
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/ // RFC 9110 §5.6.2
