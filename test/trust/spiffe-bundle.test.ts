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

test.each<[string, unknown]>([
  ['a list', []],
  ['no keys', { spiffe_sequence: 1 }],
  ['keys that are no list', { keys: {} }],
  ['no authority', { keys: [] }],
  ['authorities for JWTs alone', { keys: [{ use: 'jwt-svid' }] }],
  ['an authority without certificate', { keys: [{ use: 'x509-svid', kty: 'EC' }] }],
  ['an authority with two', { keys: [{ use: 'x509-svid', x5c: [...x5c(one.der), ...x5c(two.der)] }] }],
  ['a certificate in base64url', { keys: [{ use: 'x509-svid', x5c: [Buffer.from(one.der).toString('base64url')] }] }],
  ['PEM', { keys: [{ use: 'x509-svid', x5c: [one.pem] }] }],
  ['half a certificate', { keys: [key(one.der.subarray(0, 100))] }],
  ['one good and one bad', { keys: [key(one.der), { use: 'x509-svid', x5c: ['AAAA'] }] }],
  ['a sequence that is no number', { spiffe_sequence: '12', keys: [key(one.der)] }],
  ['a negative sequence', { spiffe_sequence: -1, keys: [key(one.der)] }],
])('refuses %s: ERR_CONFIG_CERTIFICATE', (_, bundle) => {
  expect(() => parse(bundle)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_CERTIFICATE' }))
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
