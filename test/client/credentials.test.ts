import { ConfigurationError } from 'pinfetch'
import { describe, expect, test } from 'vitest'
import { credentialHeaders } from '../../src/client/credentials.ts'

describe('a header field that carries a credential', () => {
  const isCredential = credentialHeaders([])

  test.each([
    ...['authorization', 'Cookie', 'proxy-authorization', 'DPoP', 'x-api-key', 'signature', 'signature-input'],
    ...['x-amz-security-token', 'x-jws-signature', 'Idempotency-Key', 'x-auth-token', 'apikey', 'x-goog-api-key'],
    ...['ocp-apim-subscription-key', 'x-csrf-token', 'x-client-secret', 'x-session-id', 'x-sig', 'x-password'],
    ...['client-assertion-jwt', 'x-otp', 'x-hmac', 'x-credential', 'x-user-pw', 'x-pat', 'x-cas-ticket'],
    ...['client-cert', 'x-forwarded-client-cert', 'x-bearer', 'saml-assertion', 'x-pwd', 'x-passcode', 'x-pin', 'sid'],
  ])('%s is one', (name) => expect(isCredential(name)).toBe(true))

  test.each([
    ...['accept', 'accept-encoding', 'user-agent', 'content-type', 'content-digest', 'x-request-id', 'traceparent'],
    ...[
      'range',
      'if-none-match',
      'x-amz-date',
      'x-design',
      'x-hotpot',
      'x-mapping',
      'x-passenger',
      'x-machine',
      'x-side',
      'x-path',
    ],
  ])('%s is none', (name) => expect(isCredential(name)).toBe(false))

  test('is what a scheme says, in any case', () => {
    const isCredential = credentialHeaders([{ name: 'own', credentialHeaders: ['X-Partner'] }])
    expect(['x-partner', 'X-PARTNER', 'cookie', 'accept'].map(isCredential)).toEqual([true, true, true, false])
  })

  test.each(['', 'x partner', 'x-partner:'])(
    'is not %j, which a scheme names by mistake: ERR_CONFIG_INVALID',
    (name) => {
      const make = () => credentialHeaders([{ name: 'own', credentialHeaders: [name] }])
      expect(make).toThrow(ConfigurationError)
      expect(make).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
    },
  )
})
