import fc from 'fast-check'
import { DisplayString, SerializeError, Token } from 'structured-headers'
import { describe, expect, test } from 'vitest'
import {
  type BareItem,
  canonicalField,
  Decimal,
  type Dictionary,
  type FieldType,
  isInnerList,
  type Member,
  type Parameters,
  parseDictionary,
  parseItem,
  parseList,
  serializeDictionary,
  serializeMember,
} from '../../src/signing/structured-fields.ts'
import { hasVectors, vectorJson } from '../support/vectors.ts'

interface Row {
  readonly name: string
  readonly header_type: FieldType
  readonly raw?: readonly string[]
  readonly expected?: Json
  readonly canonical?: readonly string[]
  readonly must_fail?: boolean
  readonly can_fail?: boolean
}

type Json = null | boolean | number | string | readonly Json[] | { readonly __type: string; readonly value: Json }

const FOLDER = 'signing/structured-field-tests'
const PARSE_FILES = [
  'binary',
  'boolean',
  'date',
  'dictionary',
  'display-string',
  'examples',
  'item',
  'key-generated',
  'large-generated',
  'list',
  'listlist',
  'number-generated',
  'number',
  'param-dict',
  'param-list',
  'param-listlist',
  'string-generated',
  'string',
  'token-generated',
  'token',
]
const SERIALISE_FILES = ['key-generated', 'number', 'string-generated', 'token-generated']

/** Duplicate keys are refused: readers that keep the first one see another value than those that keep the last. */
const DUPLICATES = [
  'duplicate key dictionary',
  '0x2c in dictionary key',
  '0x3b in parameterised list key',
  'duplicate parameter with different positions',
]

/** Not to be serialised from JSON: it says `1.0` and `1` in one way, and no JavaScript Date holds such a date. */
const NOT_IN_JSON = [
  'syntactic max date - 999,999,999,999,999',
  'syntactic min date - -999,999,999,999,999',
  'list item parameterised dictionary',
]

const isPresent = hasVectors(FOLDER)
const rows = (files: readonly string[], folder = FOLDER): readonly Row[] =>
  isPresent ? files.flatMap((file) => vectorJson<readonly Row[]>(`${folder}/${file}.json`)) : []

describe.skipIf(!isPresent)('the tests of the working group', () => {
  const parsing = rows(PARSE_FILES)

  test('every field that must fail is refused, and no other one', () => {
    const refused = parsing.filter(({ raw = [], header_type }) => parsed(raw.join(', '), header_type) === undefined)
    expect(refused.filter((row) => row.must_fail !== true && row.can_fail !== true).map(({ name }) => name)).toEqual(
      DUPLICATES,
    )
    expect(parsing.filter((row) => row.must_fail === true && !refused.includes(row))).toEqual([])
    expect(parsing.length).toBeGreaterThan(1_500)
  })

  test('what is parsed is what the suite expects', () => {
    const wrong = parsing.filter(({ raw = [], header_type, expected = null }) => {
      const value = parsed(raw.join(', '), header_type)
      return value !== undefined && JSON.stringify(value) !== JSON.stringify(withoutMinusZero(expected))
    })
    expect(wrong.map(({ name }) => name)).toEqual([])
  })

  test('what was parsed is serialised in the canonical form', () => {
    const wrong = parsing.filter(({ raw = [], header_type, canonical = raw }) => {
      const text = canonicalField(raw.join(', '), header_type)
      return text !== undefined && text !== canonical.join(', ')
    })
    expect(wrong.map(({ name }) => name)).toEqual([])
  })

  test('what the suite expects is serialised in the canonical form, and what no field can hold is refused', () => {
    const both = [
      ...parsing.filter(({ must_fail }) => must_fail !== true),
      ...rows(SERIALISE_FILES, `${FOLDER}/serialisation-tests`),
    ]
    const wrong = both.filter(({ header_type, expected = null, raw = [], canonical = raw, must_fail }) => {
      const text = serialised(expected, header_type, canonical)
      return must_fail === true ? text !== undefined : text !== canonical.join(', ')
    })
    expect(wrong.map(({ name }) => name)).toEqual(NOT_IN_JSON)
  })
})

test.each([
  ['a=1, a=2', 'a member'],
  ['a=1, b;c, a', 'a member without a value'],
  ['a;x=1;x=2', 'a parameter'],
  ['a;x; x', 'a parameter after a space'],
  ['a=(b;x=1;x=2)', 'a parameter in an inner list'],
  ['a=("b" "c");x;x', 'a parameter of an inner list'],
  ['a="x,a=1", a', 'a member after a string that looks like members'],
  ['a=%"x";b;b', 'a parameter after a display string'],
  ['a=:YQ==:;b=?1;b', 'a parameter after bytes and a boolean'],
])('%s: %s stands twice and is refused', (text) => {
  expect(parseDictionary(text)).toBeUndefined()
})

test.each([
  'a=1, b=2',
  'a;x=1, b;x=2',
  'a=(b;x=1 c;x=2);x=3',
  'a=("b";x "c";x)',
  'a="x;x;x, a=1"',
  'a=:YTthO2E=:, b=token;c=a:b/c',
  'a=%"a;b, a", b',
  'a="\\";a;a\\\\", b',
])('%s holds each key once and is accepted', (text) => {
  expect(parseDictionary(text)).toBeDefined()
})

test('a whole decimal stays a decimal', () => {
  expect(canonicalField('text/html;q=1.0, */*;q=0.50', 'list')).toBe('text/html;q=1.0, */*;q=0.5')
  expect(canonicalField('a=(1 2.0;x=3.00 4);y=-5.0', 'dictionary')).toBe('a=(1 2.0;x=3.0 4);y=-5.0')
  expect(canonicalField('?0;q=1.0;d=@1', 'item')).toBe('?0;q=1.0;d=@1')
  expect(canonicalField('1.05;q=10', 'item')).toBe('1.05;q=10')
  expect(parseItem('1.0')?.[0]).toEqual(new Decimal(1))
  expect(parseItem('1')?.[0]).toBe(1)
})

test.each([
  [':aGVsbG8=:', ':aGVsbG8:', 'padding'],
  [':iQ==:', ':iZ==:', 'bits after the last octet'],
  ['@8640000000000', '@8640000000001', 'a date beyond the calendar of JavaScript'],
  ['%"f%c3%bc"', '%"%ef%bb%bff"', 'a byte order mark that a decoder drops'],
  ['"caf"', '"café"', 'a character beyond ASCII'],
  ['%"a"', '%"ā"', 'a character beyond Latin-1'],
])('%s is accepted; %s is refused for its %s', (accepted, refused) => {
  expect(parseItem(accepted)).toBeDefined()
  expect(parseItem(refused)).toBeUndefined()
})

test.each(['%"a%0ab"', '%"%1f ~%7f"', '%"%25%22"'])(
  '%s stays as it is: what is no printing character is two digits',
  (text) => {
    expect(canonicalField(text, 'item')).toBe(text)
  },
)

test('a decimal has at most twelve digits before the point, also after it was rounded', () => {
  const serialise = (value: number) => serializeMember([value, new Map()])
  expect([serialise(999_999_999_999.5), serialise(-999_999_999_999.5)]).toEqual(['999999999999.5', '-999999999999.5'])
  for (const value of [999_999_999_999.9998, -999_999_999_999.9998, Number.NaN])
    expect(() => serialise(value)).toThrow(new SerializeError('expected at most 12 digits before the point'))
})

test('any text is parsed or refused, and what was parsed has one canonical form', () => {
  const piece = fc.constantFrom(
    ...'ab*1-0.9 \t,;=()":?@%/\\é\n',
    '%"',
    ':YQ==:',
    ';x',
    'a=',
    '1.0',
    '?1',
    '"\\"',
    '%c3%bc',
  )
  const text = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(''))
  fc.assert(
    fc.property(text, fc.constantFrom<FieldType>('item', 'list', 'dictionary'), (field, type) => {
      const canonical = canonicalField(field, type)
      if (canonical !== undefined && canonical !== '') expect(canonicalField(canonical, type)).toBe(canonical)
    }),
    { numRuns: 5_000 },
  )
})

/** As JSON, in the way of the suite. */
function parsed(text: string, type: FieldType): Json | undefined {
  if (type === 'item') return mapped(parseItem(text), memberJson)
  if (type === 'list') return mapped(parseList(text), (members) => members.map(memberJson))
  return mapped(parseDictionary(text), (members) => [...members].map(([key, member]) => [key, memberJson(member)]))
}

function mapped<From, To>(value: From | undefined, change: (value: From) => To): To | undefined {
  return value === undefined ? undefined : change(value)
}

function memberJson(member: Member): Json {
  const [, parameters] = member
  const value = isInnerList(member) ? member[0].map(memberJson) : valueJson(member[0] as BareItem)
  return [value, [...parameters].map(([key, bare]) => [key, valueJson(bare)])]
}

function valueJson(value: BareItem): Json {
  if (value instanceof Decimal) return value.value
  if (typeof value === 'number') return value + 0
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (value instanceof Token) return { __type: 'token', value: String(value) }
  if (value instanceof DisplayString) return { __type: 'displaystring', value: String(value) }
  if (value instanceof Date) return { __type: 'date', value: value.getTime() / 1_000 }
  return { __type: 'binary', value: base32(new Uint8Array(value as ArrayBuffer)) }
}

function serialised(expected: Json, type: FieldType, canonical: readonly string[]): string | undefined {
  const wholeDecimal = /\.0(?!\d)/.test(canonical.join(', '))
  try {
    if (type === 'item') return serializeMember(memberOf(expected, wholeDecimal))
    const members = expected as readonly Json[]
    if (type === 'list') return members.map((member) => serializeMember(memberOf(member, wholeDecimal))).join(', ')
    const entries = members.map((entry): [string, Member] => {
      const [key, member] = entry as readonly [string, Json]
      return [key, memberOf(member, wholeDecimal)]
    })
    return serializeDictionary(new Map(entries) satisfies Dictionary)
  } catch (error) {
    if (error instanceof SerializeError || error instanceof TypeError) return undefined
    throw error
  }
}

/** JSON has one kind of number: whether `1` means `1.0`, the canonical form says. */
function memberOf(json: Json, wholeDecimal: boolean): Member {
  const [value, parameters] = json as readonly [Json, readonly (readonly [string, Json])[]]
  const map: Parameters = new Map(parameters.map(([key, bare]) => [key, bareOf(bare, wholeDecimal)]))
  if (Array.isArray(value))
    return [value.map((item) => memberOf(item, wholeDecimal) as readonly [BareItem, Parameters]), map]
  return [bareOf(value, wholeDecimal), map]
}

function bareOf(json: Json, wholeDecimal: boolean): BareItem {
  if (typeof json === 'number') return wholeDecimal && Number.isInteger(json) ? new Decimal(json) : json
  if (typeof json !== 'object' || json === null || !('__type' in json)) return json as BareItem
  const { __type: type, value } = json
  if (type === 'token') return new Token(String(value))
  if (type === 'displaystring') return new DisplayString(String(value))
  if (type === 'date') return new Date(Number(value) * 1_000)
  return fromBase32(String(value))
}

function withoutMinusZero(json: Json): Json {
  return JSON.parse(JSON.stringify(json)) as Json
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const digits = (bits.match(/.{1,5}/g) ?? []).map((five) => BASE32[Number.parseInt(five.padEnd(5, '0'), 2)])
  return digits.join('').padEnd(Math.ceil(digits.length / 8) * 8, '=')
}

function fromBase32(text: string): Uint8Array<ArrayBuffer> {
  const bits = [...text.replaceAll('=', '')].map((digit) => BASE32.indexOf(digit).toString(2).padStart(5, '0')).join('')
  return Uint8Array.from((bits.match(/.{8}/g) ?? []).map((eight) => Number.parseInt(eight, 2)))
}
