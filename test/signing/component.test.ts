import { describe, expect, test } from 'vitest'
import { type ComponentsCase, runComponentsCase } from '../../scripts/conformance/components.ts'
import { type Component, componentIdentifier, distinct, parseIdentifier } from '../../src/signing/component.ts'
import { componentValue } from '../../src/signing/component-value.ts'
import type { FieldLine, Message, RequestMessage } from '../../src/signing/message.ts'
import { MessageRefusal, type RefusalReason } from '../../src/signing/refusal.ts'
import { parseItem } from '../../src/signing/structured-fields.ts'
import { hasVectors, vectorLines } from '../support/vectors.ts'

const RESPONSE: Message = { kind: 'response', status: 200, fields: [] }
const isPresent = hasVectors('signing/rfc9421')

describe.skipIf(!isPresent)('the examples of RFC 9421 §2, and messages that it refuses', () => {
  type Row = ComponentsCase & { readonly id: string; readonly value?: string; readonly expected: 'pass' | 'fail' }
  const cases = isPresent ? vectorLines<Row>('signing/rfc9421/components.jsonl') : []

  test('there are 58', () => expect(cases).toHaveLength(58))

  test.each(cases.map((row) => [row.id, row] as const))('%s', (_, row) => {
    const { result, value } = runComponentsCase(row)
    expect([result, value]).toEqual([row.expected, row.expected === 'pass' ? row.value : undefined])
  })
})

describe('identifiers', () => {
  test.each<[Component, string]>([
    ['@method', '"@method"'],
    ['content-digest', '"content-digest"'],
    ['@query-param:Pet', '"@query-param";name="Pet"'],
    ['@query-param:façade": ', '"@query-param";name="fa%C3%A7ade%22%3A%20"'],
    [{ name: '@method', req: true }, '"@method";req'],
    [{ name: 'example-dict', key: 'a' }, '"example-dict";key="a"'],
    [{ name: 'content-digest', sf: true }, '"content-digest";sf'],
    [{ name: 'set-cookie', bs: true, req: true }, '"set-cookie";bs;req'],
    [{ name: 'expires', tr: true }, '"expires";tr'],
  ])('%j is written %s', (component, text) => {
    expect(componentIdentifier(component).text).toBe(text)
    expect(parseIdentifier(parseItem(text) ?? ['', new Map()]).id).toBe(componentIdentifier(component).id)
  })

  test('what is known of a component', () => {
    const no = { sf: false, bs: false, req: false, tr: false }
    expect(componentIdentifier('date')).toStrictEqual({ name: 'date', text: '"date"', id: '"date"', ...no })
    expect(componentIdentifier('@query-param:a b')).toStrictEqual({
      ...{ name: '@query-param', parameter: 'a b', ...no },
      ...{ text: '"@query-param";name="a%20b"', id: '"@query-param";name="a%20b"' },
    })
    expect(componentIdentifier({ name: 'x-dict', req: true, key: 'a', tr: true })).toStrictEqual({
      ...{ name: 'x-dict', ...no, req: true, tr: true, key: 'a', fieldType: 'dictionary' },
      ...{ text: '"x-dict";key="a";tr;req', id: '"x-dict";key="a";req;tr' },
    })
  })

  test('half a surrogate pair in the name of a parameter is the replacement character, as it is in a URL', () => {
    expect(componentIdentifier('@query-param:a\ud800').parameter).toBe('a\ufffd')
  })

  const NO_NAME = 'a derived component of RFC 9421 §2.2 or a field name in lower case'

  test.each<[string, Component, string]>([
    ['an unknown derived component', '@nope', `"@nope": expected ${NO_NAME}`],
    ['a name in upper case', 'Date', `"Date": expected ${NO_NAME}`],
    ['a name that is none', 'a b', `"a b": expected ${NO_NAME}`],
    ['a name that begins as one', 'a:', `"a:": expected ${NO_NAME}`],
    ['a name that ends as one', ':a', `":a": expected ${NO_NAME}`],
    ['an empty name', '', `"": expected ${NO_NAME}`],
    ['a name beyond ASCII', 'dä\nte', `"d?\\nte": expected ${NO_NAME}`],
    ['100 letters', 'A'.repeat(100), `"${'A'.repeat(100)}": expected ${NO_NAME}`],
    ['101 letters', 'A'.repeat(101), `"${'A'.repeat(100)}…": expected ${NO_NAME}`],
    ['the parameters themselves', '@signature-params', `"@signature-params": expected ${NO_NAME}`],
    ['bytes of a structure', { name: 'priority', bs: true, sf: true }, '"priority": expected bs without sf and key'],
    ['bytes of a member', { name: 'priority', bs: true, key: 'u' }, '"priority": expected bs without sf and key'],
    ['an unknown structure', { name: 'x-opaque', sf: true }, '"x-opaque": expected a known field type, for sf'],
    ['a member of a list', { name: 'accept-ch', key: 'a' }, '"accept-ch": expected a dictionary, for key'],
    ['a member beyond ASCII', { name: 'x-dict', key: 'ä' }, '"x-dict": expected parameters in ASCII'],
    ['a structure of what is derived', { name: '@method', sf: true }, unknown('@method', 'sf')],
    ['a trailer that is derived', { name: '@method', tr: true }, unknown('@method', 'tr')],
  ])('%s is refused as invalid', (_, component, message) => {
    expect(refusalOf(() => componentIdentifier(component))).toEqual(['invalid', `component ${message}`])
  })

  test.each([
    ['"date";zz', unknown('date', 'zz')],
    ['"date";sf=?0', unknown('date', 'sf')],
    ['"date";bs=1', unknown('date', 'bs')],
    ['"date";req="a"', unknown('date', 'req')],
    ['"date";key', unknown('date', 'key')],
    ['"date";key=a', unknown('date', 'key')],
    ['"date";name="a"', unknown('date', 'name')],
    ['"@method";key="a"', unknown('@method', 'key')],
    ['"@query-param"', '"@query-param": expected the parameter name'],
    ['"@query-param";name', unknown('@query-param', 'name')],
    ['"@query-param";name="a";zz="b"', unknown('@query-param', 'zz')],
    ['"@query-param";name="%41"', '"%41": expected a percent-encoded parameter name'],
    ['"@query-param";name="%zz"', '"%zz": expected a percent-encoded parameter name'],
    ['"@query-param";name="a b"', '"a b": expected a percent-encoded parameter name'],
    ['date', 'a component identifier: expected a string'],
    ['1', 'a component identifier: expected a string'],
  ])('%s in Signature-Input is refused as invalid', (text, message) => {
    const item = parseItem(text)
    expect(item).toBeDefined()
    expect(refusalOf(() => item && parseIdentifier(item))).toEqual(['invalid', `component ${message}`])
  })

  test('each component once, in whatever order its parameters stand; with other parameters it is another one', () => {
    const parse = (text: string) => parseIdentifier(parseItem(text) ?? ['', new Map()])
    const one = parse('"example-dict";key="a";req')
    const same = parse('"example-dict";req;key="a"')
    expect(one.text).not.toBe(same.text)
    expect(one.id).toBe(same.id)
    expect(refusalOf(() => distinct([one, same]))).toEqual([
      ...['invalid', 'component "example-dict";key="a";req: expected each component once'],
    ])
    expect(distinct([one, parse('"example-dict";key="a"'), parse('"example-dict";key="b";req')])).toHaveLength(3)
  })
})

describe('values', () => {
  test.each<[string, string, string, string]>([
    ['accept-ch', 'list', 'a,b', 'a, b'],
    ['accept-signature', 'dictionary', 'a=(),b=?1', 'a=(), b'],
    ['cache-status', 'list', 'a,b', 'a, b'],
    ['capsule-protocol', 'item', '?1 ', '?1'],
    ['cdn-cache-control', 'dictionary', 'a=?1', 'a'],
    ['client-cert', 'item', ':YQ==: ', ':YQ==:'],
    ['client-cert-chain', 'list', ':YQ==:,:Yg==:', ':YQ==:, :Yg==:'],
    ['content-digest', 'dictionary', 'a=?1', 'a'],
    ['deprecation', 'item', '@01', '@1'],
    ['priority', 'dictionary', 'u=1,i=?1', 'u=1, i'],
    ['proxy-status', 'list', 'a,b', 'a, b'],
    ['repr-digest', 'dictionary', 'a=?1', 'a'],
    ['signature', 'dictionary', 'a=?1', 'a'],
    ['signature-input', 'dictionary', 'a=?1', 'a'],
    ['want-content-digest', 'dictionary', 'a=?1', 'a'],
    ['want-repr-digest', 'dictionary', 'a=?1', 'a'],
  ])('%s is a structured %s, which nobody has to say: %s is %s', (name, type, spelling, value) => {
    const component = { name, sf: true } as const
    expect(valueIn(component, withFields([[name, spelling]]))).toBe(value)
    expect(refusalOf(() => valueIn(component, withFields([[name, '(']])))).toEqual([
      ...['invalid', `component "\\"${name}\\";sf": expected a structured ${type}`],
    ])
  })

  test.each<[string, Component, Message, RefusalReason, string]>([
    ['an absent field', 'x', get(), 'missing', '"\\"x\\"": no such header field'],
    ['an absent trailer', { name: 'x', tr: true }, get(), 'missing', '"\\"x\\";tr": no such trailer field'],
    ['an absent field as bytes', { name: 'x', bs: true }, get(), 'missing', '"\\"x\\";bs": no such header field'],
    [
      'an absent trailer as bytes',
      { name: 'x', bs: true, tr: true },
      { ...get(), trailers: [['y', '1']] },
      'missing',
      '"\\"x\\";bs;tr": no such trailer field',
    ],
    [
      'an absent parameter',
      '@query-param:a',
      get(),
      'missing',
      '"\\"@query-param\\";name=\\"a\\"": no such parameter in the query',
    ],
    [
      'a parameter that is there twice',
      '@query-param:a',
      get('https://a/?a&a'),
      'ambiguous',
      '"\\"@query-param\\";name=\\"a\\"": the parameter occurs twice in the query',
    ],
    [
      'a parameter of other octets',
      '@query-param:a',
      get('https://a/?a=%ff'),
      'ambiguous',
      '"\\"@query-param\\";name=\\"a\\"": the parameter is not UTF-8',
    ],
    [
      'a URL with a user name',
      '@path',
      get('https://u@a/'),
      'invalid',
      '"\\"@path\\"": expected an absolute http or https URL without user name',
    ],
    ['a status of a request', '@status', get(), 'invalid', '"\\"@status\\"": expected a response, saw a request'],
    [
      'a method of a response',
      '@method',
      RESPONSE,
      'invalid',
      '"\\"@method\\"": expected a request, or the parameter req',
    ],
    [
      'a request of a request',
      { name: '@method', req: true },
      get(),
      'invalid',
      '"\\"@method\\";req": expected a response, since req is of its request',
    ],
    [
      'a request that nobody knows',
      { name: '@method', req: true },
      RESPONSE,
      'missing',
      '"\\"@method\\";req": expected a response to a known request',
    ],
    [
      'several cookies',
      'set-cookie',
      withFields([...Array(2)].map(() => ['set-cookie', 'a=1'])),
      'ambiguous',
      '"\\"set-cookie\\"": several lines that cannot be joined; use bs',
    ],
    [
      'a list that is none',
      { name: 'accept-ch', sf: true },
      withFields([['accept-ch', '(']]),
      'invalid',
      '"\\"accept-ch\\";sf": expected a structured list',
    ],
    [
      'a dictionary that is none',
      { name: 'x', key: 'a' },
      withFields([['x', '(']]),
      'invalid',
      '"\\"x\\";key=\\"a\\"": expected a structured dictionary',
    ],
    [
      'an absent member',
      { name: 'x', key: 'a' },
      withFields([['x', 'b']]),
      'missing',
      '"\\"x\\";key=\\"a\\"": no such member in the dictionary',
    ],
    [
      'a letter beyond ASCII',
      'x',
      withFields([['x', 'é']]),
      'not-ascii',
      '"\\"x\\"": expected one line of ASCII, saw something else',
    ],
    [
      'a letter beyond Latin-1 as bytes',
      { name: 'x', bs: true },
      withFields([['x', 'Ā']]),
      'not-ascii',
      '"\\"x\\";bs": expected octets, saw characters beyond Latin-1',
    ],
  ])('%s has no value, and the reason says which component', (_, component, message, reason, text) => {
    expect(refusalOf(() => valueIn(component, message))).toEqual([reason, `component ${text}`])
  })

  test('a derived component that nobody knows has no value', () => {
    const unknownOne = { ...componentIdentifier('@method'), name: '@next', text: '"@next"' }
    expect(refusalOf(() => componentValue(unknownOne, get()))).toEqual([
      ...['invalid', 'component "\\"@next\\"": expected a derived component that is known'],
    ])
  })

  test.each([
    [' \t a\tb \t', 'a\tb'],
    ['\t', ''],
    ['', ''],
    ['a \r\n \t b\r\n\tc', 'a b c'],
  ])('%j: white space around it is not of the value, nor are obsolete line folds', (value, expected) => {
    expect(valueIn('x', withFields([['x', value]]))).toBe(expected)
  })

  test.each([
    ['https://API.Example:443', 'api.example', '/', '?', 'https://api.example/'],
    ['https://api.example:8443/a', 'api.example:8443', '/a', '?', 'https://api.example:8443/a'],
    ['http://api.example:80?', 'api.example', '/', '?', 'http://api.example/?'],
    ['http://api.example:443/', 'api.example:443', '/', '?', 'http://api.example:443/'],
    [
      'https://[2001:DB8::1]:443/%7Ea/../b?x=%2f',
      '[2001:db8::1]',
      '/%7Ea/../b',
      '?x=%2f',
      'https://[2001:db8::1]/%7Ea/../b?x=%2f',
    ],
    ['https://api.example/a?', 'api.example', '/a', '?', 'https://api.example/a?'],
    ['https://api.example/a??b#cd', 'api.example', '/a', '??b', 'https://api.example/a??b'],
    ['https://api.example:/', 'api.example', '/', '?', 'https://api.example/'],
    ['http://api.example:/', 'api.example', '/', '?', 'http://api.example/'],
  ])('%s: authority, path and query are those of the wire', (url, authority, path, query, targetUri) => {
    const values = (['@authority', '@path', '@query', '@target-uri'] as const).map((name) => valueIn(name, get(url)))
    expect(values).toEqual([authority, path, query, targetUri])
  })

  test('a question mark that nothing follows stays in @request-target, where URL.search drops it', () => {
    const url = 'https://api.example/a?'
    expect(new URL(url).search).toBe('')
    expect(valueIn('@request-target', get(url))).toBe('/a?')
    expect(valueIn('@request-target', get('https://api.example'))).toBe('/')
    expect(valueIn('@request-target', { ...get(url), target: '*' })).toBe('*')
  })

  test.each([
    ...['ftp://api.example/', 'git+https://api.example/', '/a', 'https://u:p@api.example/', 'https:///a'],
    ...['https://a\\b/', ''],
  ])('%s is no URL of a request and refused as invalid', (url) => {
    for (const name of ['@authority', '@request-target', '@path', '@query-param:a'])
      expect(reasonOf(() => valueIn(name, get(url)))).toBe('invalid')
  })

  test('the method is what fetch puts on the wire: post is upper-cased, patch is not', () => {
    const method = (name: string) =>
      valueIn('@method', { ...get(), method: new Request('https://a', { method: name }).method })
    expect([method('post'), method('patch'), method('PATCH')]).toEqual(['POST', 'patch', 'PATCH'])
  })

  test.each([
    ['?a=1&b=2', '1'],
    ['?b=2&%61=%7e', '~'.replace('~', '%7E')],
    ['?a=x+y%20z%2B', 'x%20y%20z%2B'],
    ['?a', ''],
    ['??a=1&a=2', '2'],
  ])('%s: the parameter a is %s', (query, value) => {
    expect(valueIn('@query-param:a', get(`https://api.example/${query}`))).toBe(value)
  })

  test.each<[string, RefusalReason]>([
    ['', 'missing'],
    ['?', 'missing'],
    ['?A=1', 'missing'],
    ['?a=1&a=2', 'ambiguous'],
    ['?a=1&%61=1', 'ambiguous'],
    ['?a=%ff', 'ambiguous'],
  ])('%s: the parameter a is refused as %s', (query, reason) => {
    expect(reasonOf(() => valueIn('@query-param:a', get(`https://api.example/${query}`)))).toBe(reason)
  })

  test.each<[string, string, RefusalReason]>([
    ['a line break', 'a\nb', 'not-ascii'],
    ['a return', 'a\rb', 'not-ascii'],
    ['a line break and a forged line', 'a\r\n"@method": GET', 'not-ascii'],
    ['a letter beyond ASCII', 'café', 'not-ascii'],
    ['a control character', 'a\u0000b', 'not-ascii'],
  ])('%s in a field is refused as not-ascii, and covered as bytes', (_, value, reason) => {
    const message = withFields([['x-name', value]])
    expect(reasonOf(() => valueIn('x-name', message))).toBe(reason)
    expect(valueIn({ name: 'x-name', bs: true }, message)).toBe(`:${Buffer.from(value, 'latin1').toString('base64')}:`)
  })

  test('bytes are octets: a character beyond Latin-1 is refused as not-ascii', () => {
    expect(reasonOf(() => valueIn({ name: 'x', bs: true }, withFields([['x', '€']])))).toBe('not-ascii')
  })

  test('several cookies cannot be joined by commas: refused as ambiguous, and covered as bytes', () => {
    const message = withFields([
      ['set-cookie', 'a=1; Expires=Wed, 09 Jun 2021'],
      ['set-cookie', 'b=2'],
    ])
    expect(reasonOf(() => valueIn('set-cookie', message))).toBe('ambiguous')
    expect(valueIn({ name: 'set-cookie', bs: true }, message).split(', ')).toHaveLength(2)
    expect(valueIn('set-cookie', withFields([['set-cookie', 'a=1']]))).toBe('a=1')
  })

  test('a structured field has one text, whatever its spelling; one with a key twice has none', () => {
    const type = { name: 'x-dict', sf: true, fieldType: 'dictionary' } as const
    expect(
      valueIn(
        type,
        withFields([
          ['x-dict', 'a=1.0,  b=?1'],
          ['x-dict', 'c=(x  y)'],
        ]),
      ),
    ).toBe('a=1.0, b, c=(x y)')
    expect(reasonOf(() => valueIn(type, withFields([['x-dict', 'a=1, a=2']])))).toBe('invalid')
    expect(reasonOf(() => valueIn({ name: 'x-dict', key: 'b' }, withFields([['x-dict', 'a=1']])))).toBe('missing')
    expect(valueIn({ name: 'x-dict', key: 'b' }, withFields([['x-dict', 'a=1, b=(1 2);x']]))).toBe('(1 2);x')
  })

  // Read each time, this would take a minute.
  test('a dictionary is read once, however many of its members are covered', { timeout: 20_000 }, () => {
    const members = Array.from({ length: 25_000 }, (_, n) => `k${n}=${n}`)
    const message = withFields([['x-dict', members.join(', ')]])
    for (let n = 0; n < 1_000; n += 1) expect(valueIn({ name: 'x-dict', key: `k${n}` }, message)).toBe(String(n))
    expect(valueIn({ name: 'x-dict', key: 'k7' }, withFields([['x-dict', 'k7=8']]))).toBe('8')
    expect(reasonOf(() => valueIn({ name: 'x-other', key: 'k7' }, message))).toBe('missing')
  })

  test('of the request that a response answers', () => {
    const response: Message = { kind: 'response', status: 200, fields: [], request: { ...get(), method: 'PUT' } }
    expect(valueIn({ name: '@method', req: true }, response)).toBe('PUT')
    expect(reasonOf(() => valueIn({ name: '@status', req: true }, response))).toBe('invalid')
    expect(reasonOf(() => valueIn('@method', response))).toBe('invalid')
    expect(reasonOf(() => valueIn({ name: '@method', req: true }, get()))).toBe('invalid')
    const { request: _, ...unasked } = response
    expect(reasonOf(() => valueIn({ name: '@method', req: true }, unasked))).toBe('missing')
  })

  test('a value of ten thousand spaces is read in no time, and a field of 100,000 characters as well', () => {
    const spaces = ' '.repeat(200_000)
    expect(valueIn('x', withFields([['x', `a${spaces}b${spaces}`]]))).toBe(`a${spaces}b`)
    expect(valueIn('x', withFields([['x', `a${spaces}\r\n${spaces}b`]]))).toBe('a b')
  })
})

function valueIn(component: Component, message: Message): string {
  return componentValue(componentIdentifier(component), message)
}

function get(url = 'https://api.example/'): RequestMessage {
  return { kind: 'request', method: 'GET', url, fields: [] }
}

function withFields(fields: readonly FieldLine[]): RequestMessage {
  return { ...get(), fields }
}

function unknown(name: string, parameter: string): string {
  return `"${name}": expected only parameters that RFC 9421 gives it, saw "${parameter}"`
}

function reasonOf(run: () => unknown): RefusalReason | undefined {
  return refusalOf(run)?.[0]
}

function refusalOf(run: () => unknown): readonly [RefusalReason, string] | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    return error instanceof MessageRefusal ? [error.reason, error.message] : expect.unreachable(String(error))
  }
}
