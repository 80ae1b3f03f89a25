import { describe, expect, test } from 'vitest'
import { type ComponentsCase, runComponentsCase } from '../../scripts/conformance/components.ts'
import { type Component, componentIdentifier, distinct, parseIdentifier } from '../../src/signing/component.ts'
import { componentValue } from '../../src/signing/component-value.ts'
import type { FieldLine, Message, RequestMessage } from '../../src/signing/message.ts'
import { MessageRefusal, type RefusalReason } from '../../src/signing/refusal.ts'
import { parseItem } from '../../src/signing/structured-fields.ts'
import { hasVectors, vectorLines } from '../support/vectors.ts'

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

  test.each<[string, Component]>([
    ['an unknown derived component', '@nope'],
    ['a name in upper case', 'Date'],
    ['a name that is none', 'a b'],
    ['an empty name', ''],
    ['the parameters of the signature themselves', '@signature-params'],
    ['bytes of a structure', { name: 'content-digest', bs: true, sf: true }],
    ['bytes of a member', { name: 'content-digest', bs: true, key: 'sha-256' }],
    ['a structure that nobody knows', { name: 'x-opaque', sf: true }],
    ['a member of a list', { name: 'client-cert-chain', key: 'a' }],
    ['a member beyond ASCII', { name: 'x-dict', key: 'ä' }],
    ['a parameter of a field on a derived component', { name: '@method', sf: true }],
    ['a trailer that is derived', { name: '@method', tr: true }],
  ])('%s is refused as invalid', (_, component) => {
    expect(reasonOf(() => componentIdentifier(component))).toBe('invalid')
  })

  test.each([
    '"date";zz',
    '"date";sf=?0',
    '"date";bs=1',
    '"date";key',
    '"date";name="a"',
    '"@query-param"',
    '"@query-param";name',
    '"@query-param";name="%41"',
    '"@query-param";name="%zz"',
    '"@query-param";name="a b"',
    'date',
    '1',
  ])('%s in Signature-Input is refused as invalid', (text) => {
    const item = parseItem(text)
    expect(item).toBeDefined()
    expect(reasonOf(() => item && parseIdentifier(item))).toBe('invalid')
  })

  test('each component once, in whatever order its parameters stand; with other parameters it is another one', () => {
    const parse = (text: string) => parseIdentifier(parseItem(text) ?? ['', new Map()])
    const one = parse('"example-dict";key="a";req')
    const same = parse('"example-dict";req;key="a"')
    expect(one.text).not.toBe(same.text)
    expect(one.id).toBe(same.id)
    expect(reasonOf(() => distinct([one, same]))).toBe('invalid')
    expect(distinct([one, parse('"example-dict";key="a"'), parse('"example-dict";key="b";req')])).toHaveLength(3)
  })
})

describe('values', () => {
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
    ['https://api.example/a??b#c', 'api.example', '/a', '??b', 'https://api.example/a??b'],
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

  test.each(['ftp://api.example/', '/a', 'https://u:p@api.example/', 'https:///a', 'https://a\\b/', ''])(
    '%s is no URL of a request and refused as invalid',
    (url) => {
      expect(reasonOf(() => valueIn('@authority', get(url)))).toBe('invalid')
    },
  )

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

function reasonOf(run: () => unknown): RefusalReason | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof MessageRefusal) return error.reason
    throw error
  }
}
