import { testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { parseSpiffeBundle } from '../../src/trust/spiffe-bundle.ts'

const [one, two] = [testCa({ name: 'One' }).root, testCa({ name: 'Two' }).root]
const x5c = (der: Uint8Array): string[] => [Buffer.from(der).toString('base64')]
const key = (der: Uint8Array) => ({ use: 'x509-svid', kty: 'EC', x5c: x5c(der) })
const parse = (bundle: unknown) => parseSpiffeBundle(Buffer.from(JSON.stringify(bundle)), 'bundle.json')

describe('takes', () => {
  test('every authority for x509-svid, and the sequence', () => {
    const { anchors, sequence } = parse({
      spiffe_sequence: 12,
      spiffe_refresh_hint: 300,
      keys: [key(one.der), key(two.der)],
    })
    expect([anchors.size, sequence]).toEqual([2, 12])
    expect(anchors.pem).toEqual([one.pem, two.pem])
  })

  test('a first bundle, of sequence 0', () => {
    expect(parse({ spiffe_sequence: 0, keys: [key(one.der)] }).sequence).toBe(0)
  })

  test('nothing from members for JWTs, for uses to come, and without a use', () => {
    const others = [
      { use: 'jwt-svid', kty: 'EC', x5c: 'x' },
      { use: 'wit-svid' },
      { kty: 'RSA', x5c: x5c(two.der) },
      null,
      7,
    ]
    expect(parse({ keys: [...others, key(one.der)] })).toMatchObject({ anchors: { size: 1 }, sequence: undefined })
  })
})

const NO_OBJECT = 'expected a SPIFFE bundle, a JSON object'
const NO_KEYS = 'expected a SPIFFE bundle with the member `keys`'
const NO_NUMBER = 'spiffe_sequence: expected a whole number'
const NO_AUTHORITY = 'holds no authority for x509-svid'
const NO_X5C = 'authority 0: expected x5c with one certificate in base64'

test.each<[string, unknown, string]>([
  ['a list', [], NO_OBJECT],
  ['a text', 'keys', NO_OBJECT],
  ['null', null, NO_OBJECT],
  ['no keys', { spiffe_sequence: 1 }, NO_KEYS],
  ['keys that are no list', { keys: {} }, NO_KEYS],
  ['no authority', { keys: [] }, NO_AUTHORITY],
  ['authorities for JWTs alone', { keys: [{ use: 'jwt-svid' }] }, NO_AUTHORITY],
  ['an authority without certificate', { keys: [{ use: 'x509-svid', kty: 'EC' }] }, NO_X5C],
  ['an authority with two', { keys: [{ use: 'x509-svid', x5c: [...x5c(one.der), ...x5c(two.der)] }] }, NO_X5C],
  ['a certificate that is a number', { keys: [{ use: 'x509-svid', x5c: [7] }] }, NO_X5C],
  [
    'a certificate in base64url',
    { keys: [{ use: 'x509-svid', x5c: [Buffer.from(one.der).toString('base64url')] }] },
    NO_X5C,
  ],
  ['PEM', { keys: [{ use: 'x509-svid', x5c: [one.pem] }] }, NO_X5C],
  ['one good and one bad', { keys: [key(one.der), { use: 'x509-svid', x5c: ['AAAA'] }] }, NO_X5C.replace('0', '1')],
  ['a sequence that is no number', { spiffe_sequence: '12', keys: [key(one.der)] }, NO_NUMBER],
  ['a sequence between two numbers', { spiffe_sequence: 1.5, keys: [key(one.der)] }, NO_NUMBER],
  ['a negative sequence', { spiffe_sequence: -1, keys: [key(one.der)] }, NO_NUMBER],
])('refuses %s: ERR_CONFIG_CERTIFICATE', (_, bundle, message) => {
  expect(() => parse(bundle)).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_CERTIFICATE', message: `bundle.json: ${message}` }),
  )
})

test('refuses half a certificate: ERR_CONFIG_CERTIFICATE', () => {
  expect(() => parse({ keys: [key(one.der.subarray(0, 100))] })).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_CERTIFICATE', message: expect.stringContaining('not a certificate') }),
  )
})

test.each(['', '{"keys":[]', '{"keys":[],"keys":[]}', '\ufeff{"keys":[]}'])(
  'refuses %j, which is no JSON to every reader: ERR_CONFIG_CERTIFICATE',
  (text) => {
    const [at, code] = [Buffer.from(text), 'ERR_CONFIG_CERTIFICATE']
    expect(() => parseSpiffeBundle(at, 'bundle.json')).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining('a JSON object') }),
    )
  },
)
