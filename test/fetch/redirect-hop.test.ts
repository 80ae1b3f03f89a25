import fc from 'fast-check'
import { expect, test } from 'vitest'
import { credentialHeaders } from '../../src/client/credentials.ts'
import { nextHop } from '../../src/client/redirect-hop.ts'
import { PolicyError } from '../../src/errors/errors.ts'
import { originOf } from '../support/policy.ts'

const FROM = 'https://api.example.com/a/b?q'
const HEADERS = { authorization: 'secret', cookie: 'secret', 'x-api-key': 'secret', 'x-request-id': '7' }
const start = fc.constantFrom('', 'https://', '//', '\\/', 'https://api.example.com')
const piece = fc.constantFrom(
  ...['https:', 'HTTPS:', 'http:', 'javascript:', 'data:', 'blob:', '//', '/', '\\', '@', ':', '443', '8443', '?', '#'],
  ...[
    'api.example.com',
    'evil.test',
    '[::1]',
    '127.1',
    'user',
    '.',
    '..',
    '%2f',
    '%00',
    '\t',
    ' ',
    ',',
    ', ',
    'é',
    '\xff',
  ],
)

/** Every other origin is named by the option here, so that what is left to refuse is the target itself. */
const rules = { covers: () => true, isCredential: credentialHeaders([]) }

test('whatever Location says, the next request is for https, without secrets elsewhere, or there is none', () => {
  let [elsewhere, here, refused] = [0, 0, 0]
  const status = fc.constantFrom(301, 302, 303, 307, 308)
  const method = fc.constantFrom('GET', 'HEAD', 'POST', 'post', 'PUT')
  const follow = (begin: string, pieces: readonly string[], status: number, method: string): void => {
    const response = new Response(null, { status, headers: { location: begin + pieces.join('') } })
    const init: RequestInit = { method, headers: HEADERS, ...(/^(?:GET|HEAD)$/.test(method) ? {} : { body: 'secret' }) }
    const at = { url: new URL(FROM), origin: originOf(FROM), input: FROM, init, oneShot: undefined }
    try {
      const hop = nextHop(at, response, rules)
      expect(hop.url.protocol).toBe('https:')
      expect([hop.url.username, hop.url.password]).toEqual(['', ''])
      expect(hop.origin).toEqual(originOf(hop.url.href))
      const isElsewhere = hop.url.origin !== at.url.origin
      const sent = [...new Headers(hop.init.headers).values(), hop.init.body ?? ''].join()
      if (isElsewhere) expect(sent).not.toContain('secret')
      if (isElsewhere) elsewhere += 1
      else here += 1
    } catch (error) {
      expect(error).toBeInstanceOf(PolicyError)
      refused += 1
    }
  }
  fc.assert(fc.property(start, fc.array(piece, { maxLength: 6 }), status, method, follow), { numRuns: 5_000, seed: 1 })
  expect(Math.min(elsewhere, here, refused)).toBeGreaterThan(50)
})
