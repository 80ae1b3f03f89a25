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

test.each<[string, string, string, RefusalReason]>([
  ['a label without parameters', '', 'sig=:AQ==:', 'malformed'],
  ['a label without signature', 'sig=()', '', 'malformed'],
  ['a label twice', 'sig=(), sig=("date")', 'sig=:AQ==:', 'malformed'],
  ['a signature twice', 'sig=()', 'sig=:AQ==:, sig=:Ag==:', 'malformed'],
  ['a parameter twice', 'sig=();created=1;created=2', 'sig=:AQ==:', 'malformed'],
  ['a parameter of a component twice', 'sig=("date";bs;bs)', 'sig=:AQ==:', 'malformed'],
  ['no list', 'sig="date"', 'sig=:AQ==:', 'malformed'],
  ['no bytes', 'sig=()', 'sig="AQ=="', 'malformed'],
  ['a second spelling of the bytes', 'sig=()', 'sig=:AR==:', 'malformed'],
  ['created as text', 'sig=();created="1"', 'sig=:AQ==:', 'malformed'],
  ['created as a decimal', 'sig=();created=1.0', 'sig=:AQ==:', 'malformed'],
  ['created without a value', 'sig=();created', 'sig=:AQ==:', 'malformed'],
  ['a keyid that is no string', 'sig=();keyid=k', 'sig=:AQ==:', 'malformed'],
  ['no structured field', 'sig=(', 'sig=:AQ==:', 'malformed'],
  ['a component twice', 'sig=("date" "date")', 'sig=:AQ==:', 'invalid'],
  ['a component that is none', 'sig=("Date")', 'sig=:AQ==:', 'invalid'],
  ['a parameter that is not understood', 'sig=("date";zz)', 'sig=:AQ==:', 'invalid'],
  ['51 components', `sig=(${[...Array(51).keys()].map((at) => `"a${at}"`).join(' ')})`, 'sig=:AQ==:', 'malformed'],
  ['21 signatures', many(21, '()'), many(21, ':AQ==:'), 'malformed'],
])('%s is refused', (_, input, signature, reason) => {
  expect(reasonOf(() => readSignatures(lines(input, signature)))).toBe(reason)
})

test('50 components and 20 signatures are accepted', () => {
  expect(readSignatures(lines(many(20, '()'), many(20, ':AQ==:'))).size).toBe(20)
  const components = [...Array(50).keys()].map((at) => `"a${at}"`).join(' ')
  expect(readSignatures(lines(`sig=(${components})`, 'sig=:AQ==:')).get('sig')?.components).toHaveLength(50)
})

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

function reasonOf(run: () => unknown): RefusalReason | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof MessageRefusal) return error.reason
    throw error
  }
}
