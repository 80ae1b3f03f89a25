import { createPrivateKey, createPublicKey, createSecretKey } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { messageOf } from '../../scripts/conformance/signed-message.ts'
import { runSigningCase, type SigningCase } from '../../scripts/conformance/signing.ts'
import { localSigner } from '../../src/keys/signer.ts'
import type { FieldLine } from '../../src/signing/message.ts'
import { MessageRefusal, type RefusalReason } from '../../src/signing/refusal.ts'
import { signatureBase } from '../../src/signing/signature-base.ts'
import { readAcceptSignature, readSignatures } from '../../src/signing/signature-fields.ts'
import { hasVectors, vectorJson, vectorLines } from '../support/vectors.ts'

const isPresent = hasVectors('signing/rfc9421')

describe.skipIf(!isPresent)('the messages of RFC 9421', () => {
  type Row = SigningCase & {
    readonly id: string
    readonly signatureBase?: string
    readonly deterministic: boolean
    readonly expected: 'pass' | 'fail'
  }
  const cases = isPresent ? vectorLines<Row>('signing/rfc9421/signatures.jsonl') : []

  test('there are 20: 17 that verify, and 3 that do not', () => {
    expect(cases.map(({ expected }) => expected).sort()).toEqual([...Array(3).fill('fail'), ...Array(17).fill('pass')])
  })

  test.each(cases.map((row) => [row.id, row.expected, row] as const))('%s: %s', (_, expected, row) => {
    expect(runSigningCase(row).result).toBe(expected)
  })

  test.each(cases.filter((row) => row.signatureBase !== undefined).map((row) => [row.id, row] as const))(
    '%s: the signature base to the letter',
    (_, row) => {
      const message = messageOf(row.message, row.request)
      const read = readSignatures(message.fields).get(row.label)
      expect(read && signatureBase(read.components, read.parametersText, message)).toBe(row.signatureBase)
    },
  )

  test.each(cases.filter((row) => row.deterministic && row.expected === 'pass').map((row) => [row.id, row] as const))(
    '%s: the signature to the letter',
    async (_, row) => {
      const message = messageOf(row.message, row.request)
      const read = readSignatures(message.fields).get(row.label)
      const base = read && signatureBase(read.components, read.parametersText, message)
      const { secretBase64, privatePem } = row.keyMaterial
      const key =
        secretBase64 === undefined ? createPrivateKey(privatePem ?? '') : createSecretKey(secretBase64, 'base64')
      const signer = localSigner(key, { algorithm: row.alg })
      const signature = await signer.sign(Buffer.from(base ?? ''), { signal: new AbortController().signal })
      expect(Buffer.from(signature).equals(Buffer.from(read?.signature ?? []))).toBe(true)
      expect(key.type === 'secret' || createPublicKey(key).asymmetricKeyType).toBeTruthy()
    },
  )

  test('the fields of §4.1 and §5.1', () => {
    const fields = vectorJson<Record<string, { readonly header?: string }>>('signing/rfc9421/fields.json')
    const value = (section: string): string => fields[section]?.header?.replace(/^[^:]+: /, '') ?? ''
    const read = readSignatures([
      ['signature-input', value('4.1')],
      ['signature', value('4.2')],
    ])
    expect([...read.keys()]).toEqual(['sig1'])
    expect(read.get('sig1')?.parameters).toEqual({ created: 1618884475, keyid: 'test-key-rsa-pss' })
    const [asked] = readAcceptSignature(value('5.1'))
    expect(asked).toMatchObject({
      label: 'sig1',
      created: true,
      expires: false,
      parameters: { keyid: 'test-key-rsa-pss', tag: 'app-123' },
    })
    expect(asked?.components.map(({ name }) => name)).toEqual([
      '@method',
      '@target-uri',
      '@authority',
      'content-digest',
      'cache-control',
    ])
  })
})

const INPUT = 'sig=("@method" "date");created=1;expires=2;nonce="n";alg="ed25519";keyid="k";tag="t";other=x'

test('a signature is read with its parameters, those that mean nothing included in what was signed', () => {
  const read = readSignatures(lines(INPUT, 'sig=:AQID:')).get('sig')
  expect(read?.parameters).toEqual({ created: 1, expires: 2, nonce: 'n', alg: 'ed25519', keyid: 'k', tag: 't' })
  expect(read?.parametersText).toBe(INPUT.slice('sig='.length))
  expect([...(read?.signature ?? [])]).toEqual([1, 2, 3])
})

test('another spelling of Signature-Input has the same base', () => {
  const read = readSignatures(lines('sig=(  "@method"   "date" ); created=1', 'sig=:AQID:')).get('sig')
  expect(read?.parametersText).toBe('("@method" "date");created=1')
})

test('a message without signatures has none', () => {
  expect(readSignatures([['date', 'now']]).size).toBe(0)
})

test('several signatures stand in one field or in several lines', () => {
  const fields: FieldLine[] = [
    ['signature-input', 'a=()'],
    ['signature', 'b=:Ag==:, a=:AQ==:'],
    ['signature-input', 'b=();keyid="k"'],
  ]
  expect([...readSignatures(fields)].map(([label, { signature }]) => [label, [...signature]])).toEqual([
    ['a', [1]],
    ['b', [2]],
  ])
})

const NO_DICTIONARY = 'expected a dictionary (RFC 9651 §3.2) with each key once'

test.each<[string, string, string, string]>([
  ['a signature without parameters', '', 'sig=:AQ==:', 'Signature: "sig" is not in Signature-Input'],
  ['parameters without signature', 'sig=()', '', 'Signature: expected bytes under "sig"'],
  ['a label twice', 'sig=(), sig=("date")', 'sig=:AQ==:', `Signature-Input: ${NO_DICTIONARY}`],
  ['a signature twice', 'sig=()', 'sig=:AQ==:, sig=:Ag==:', `Signature: ${NO_DICTIONARY}`],
  ['a parameter twice', 'sig=();created=1;created=2', 'sig=:AQ==:', `Signature-Input: ${NO_DICTIONARY}`],
  ['a parameter of a component twice', 'sig=("date";bs;bs)', 'sig=:AQ==:', `Signature-Input: ${NO_DICTIONARY}`],
  ['no list', 'sig="date"', 'sig=:AQ==:', '"sig": expected a list of components in brackets'],
  ['no bytes', 'sig=()', 'sig="AQ=="', 'Signature: expected bytes under "sig"'],
  ['a second spelling of the bytes', 'sig=()', 'sig=:AR==:', `Signature: ${NO_DICTIONARY}`],
  ['created as text', 'sig=();created="1"', 'sig=:AQ==:', '"sig": expected created as Unix seconds, saw string'],
  ['created as a decimal', 'sig=();created=1.0', 'sig=:AQ==:', '"sig": expected created as Unix seconds, saw Decimal'],
  ['created as a fraction', 'sig=();created=1.5', 'sig=:AQ==:', '"sig": expected created as Unix seconds, saw number'],
  ['created as a date', 'sig=();created=@1', 'sig=:AQ==:', '"sig": expected created as Unix seconds, saw Date'],
  ['created without a value', 'sig=();created', 'sig=:AQ==:', '"sig": expected created as Unix seconds, saw boolean'],
  ['expires as text', 'sig=();expires="1"', 'sig=:AQ==:', '"sig": expected expires as Unix seconds, saw string'],
  ['a keyid that is a token', 'sig=();keyid=k', 'sig=:AQ==:', '"sig": expected keyid as a string, saw Token'],
  ['an alg that is a number', 'sig=();alg=1', 'sig=:AQ==:', '"sig": expected alg as a string, saw number'],
  ['a nonce of bytes', 'sig=();nonce=:AQ==:', 'sig=:AQ==:', '"sig": expected nonce as a string, saw ArrayBuffer'],
  ['a tag without a value', 'sig=();tag', 'sig=:AQ==:', '"sig": expected tag as a string, saw boolean'],
  ['no structured field', 'sig=(', 'sig=:AQ==:', `Signature-Input: ${NO_DICTIONARY}`],
  ['51 components', `sig=(${components(51)})`, 'sig=:AQ==:', '"sig": expected at most 50 components'],
  ['21 signatures', many(21, '()'), many(20, ':AQ==:'), 'Signature-Input: expected at most 20 members'],
  ['21 signatures of 20 inputs', many(20, '()'), many(21, ':AQ==:'), 'Signature: expected at most 20 members'],
])('%s: refused as malformed', (_, input, signature, message) => {
  expect(refusalOf(() => readSignatures(lines(input, signature)))).toEqual(['malformed', message])
})

test.each([
  ['a component twice', 'sig=("date" "date")', 'component "date": expected each component once'],
  [
    'a component that is none',
    'sig=("Date")',
    'component "Date": expected a derived component of RFC 9421 §2.2 or a field name in lower case',
  ],
  [
    'a parameter that is not understood',
    'sig=("date";zz)',
    'component "date": expected only parameters that RFC 9421 gives it, saw "zz"',
  ],
])('%s: refused as invalid', (_, input, message) => {
  expect(refusalOf(() => readSignatures(lines(input, 'sig=:AQ==:')))).toEqual(['invalid', message])
})

describe('Accept-Signature', () => {
  test('says what is to be covered, and asks for a time without saying one', () => {
    const [timed, untimed] = readAcceptSignature(
      'a=("date");created;expires;nonce="n", b=();created=?0;expires=1;tag="t"',
    )
    expect(timed).toMatchObject({ label: 'a', created: true, expires: true, parameters: { nonce: 'n' } })
    expect(timed?.components.map(({ name }) => name)).toEqual(['date'])
    expect(untimed).toEqual({ label: 'b', components: [], created: false, expires: false, parameters: { tag: 't' } })
    expect(readAcceptSignature('')).toEqual([])
  })

  test.each([
    ['a=(', `Accept-Signature: ${NO_DICTIONARY}`],
    [many(21, '()'), 'Accept-Signature: expected at most 20 members'],
    ['a', '"a": expected a list of components in brackets'],
    ['a=();nonce', '"a": expected nonce as a string, saw boolean'],
  ])('%s is refused as malformed', (text, message) => {
    expect(refusalOf(() => readAcceptSignature(text))).toEqual(['malformed', message])
  })
})

test('50 components and 20 signatures are accepted', () => {
  expect(readSignatures(lines(many(20, '()'), many(20, ':AQ==:'))).size).toBe(20)
  expect(readSignatures(lines(`sig=(${components(50)})`, 'sig=:AQ==:')).get('sig')?.components).toHaveLength(50)
})

function components(count: number): string {
  return [...Array(count).keys()].map((at) => `"a${at}"`).join(' ')
}

function many(count: number, value: string): string {
  return [...Array(count).keys()].map((at) => `s${at}=${value}`).join(', ')
}

function lines(input: string, signature: string): readonly FieldLine[] {
  const fields: FieldLine[] = [
    ['signature-input', input],
    ['signature', signature],
  ]
  return fields.filter(([, value]) => value !== '')
}

function refusalOf(run: () => unknown): readonly [RefusalReason, string] | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    return error instanceof MessageRefusal ? [error.reason, error.message] : expect.unreachable(String(error))
  }
}
