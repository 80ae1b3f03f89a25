import { describe, expect, test } from 'vitest'
import type { FieldLine } from '../../src/signing/message.ts'
import { type CanonicalInput, canonicalRequest, encodeUri } from '../../src/signing/sigv4-canonical.ts'

const canonical = (input: Partial<CanonicalInput>) =>
  canonicalRequest({
    ...{ method: 'GET', path: '/', query: '', fields: [], payload: 'payload' },
    pathRules: { normalize: true, encode: 'twice' },
    ...input,
  })
const part = (line: number) => (input: Partial<CanonicalInput>) => canonical(input).text.split('\n')[line]
const [pathOf, queryOf] = [part(1), part(2)]

test('the parts stand in the order that AWS gives, each on its line', () => {
  const fields: readonly FieldLine[] = [
    ['x-b', '2'],
    ['host', 'api.example'],
  ]
  expect(canonical({ method: 'PUT', path: '/a', query: 'x=1', fields })).toEqual({
    text: 'PUT\n/a\nx=1\nhost:api.example\nx-b:2\n\nhost;x-b\npayload',
    signedHeaders: 'host;x-b',
  })
})

describe('the path', () => {
  test.each([
    ['', '/'],
    ['/', '/'],
    ['//', '/'],
    ['/a/b', '/a/b'],
    ['/a/b/', '/a/b/'],
    ['/a//b', '/a/b'],
    ['/a/./b', '/a/b'],
    ['/./', '/'],
    ['/a/../b', '/b'],
    ['/../..', '/'],
    ['/a/..', '/'],
    ['/a/b/..', '/a'],
    ['/a/b/../', '/a/'],
    ['/a/.b/..c', '/a/.b/..c'],
  ])('%j without dots and empty segments is %j', (path, expected) => {
    expect(pathOf({ path })).toBe(expected)
    const asItIs = { normalize: false, encode: 'twice' } as const
    expect(pathOf({ path, pathRules: asItIs })).toBe(path === '' ? '/' : path)
  })

  test.each([
    ['/a%20b', '/a%2520b', '/a%20b'],
    ['/a%2fb', '/a%252fb', '/a%2Fb'],
    ['/%7E%41', '/%257E%2541', '/~A'],
    ['/é', '/%C3%A9', '/%C3%A9'],
    ['/😀', '/%F0%9F%98%80', '/%F0%9F%98%80'],
    ['/a+b(c)', '/a%2Bb%28c%29', '/a%2Bb%28c%29'],
    ['/100%', '/100%25', '/100%25'],
    ['/%zz', '/%25zz', '/%25zz'],
  ])('%j is escaped to %j where it is twice, and to %j where it is once', (path, twice, once) => {
    expect(pathOf({ path })).toBe(twice)
    expect(pathOf({ path, pathRules: { normalize: false, encode: 'once' } })).toBe(once)
  })
})

describe('the query', () => {
  test.each([
    ['', ''],
    ['b=2&a=1', 'a=1&b=2'],
    ['a=2&a=1', 'a=1&a=2'],
    ['a=1&a=1', 'a=1&a=1'],
    ['a=1&a=10&a', 'a=&a=1&a=10'],
    ['a', 'a='],
    ['a=', 'a='],
    ['=1', '=1'],
    ['a=b=c', 'a=b%3Dc'],
    ['&a=1&&b=2&', 'a=1&b=2'],
    ['a+b=c+d', 'a%20b=c%20d'],
    ['a=%2b', 'a=%2B'],
    ['a=%41%7e', 'a=A~'],
    ['a=%', 'a=%25'],
    ['a=é', 'a=%C3%A9'],
    ['a-=1&a=1', 'a=1&a-=1'],
    ['%C3%A9=1&z=1', '%C3%A9=1&z=1'],
  ])('%j is signed as %j', (query, expected) => {
    expect(queryOf({ query })).toBe(expected)
  })
})

describe('a header field', () => {
  const headersOf = (...fields: FieldLine[]) => canonical({ fields }).text.split('\n').slice(3, -3)

  test.each([
    ['a', 'a'],
    ['', ''],
    [' a', 'a'],
    ['a ', 'a'],
    ['a b', 'a b'],
    ['a  b   c', 'a b c'],
    ['\ta\tb\t', 'a b'],
    ['a\r\n b', 'a b'],
    ['"a  b"', '"a b"'],
  ])('%j is signed as %j', (value, expected) => {
    expect(headersOf(['x-a', value])).toEqual([`x-a:${expected}`])
  })

  test('that is there several times is one, its values in the order of the wire', () => {
    const fields: FieldLine[] = [
      ['x-b', '3'],
      ['x-a', '2'],
      ['x-a', ' 1 '],
      ['x-a', ''],
    ]
    expect(headersOf(...fields)).toEqual(['x-a:2,1,', 'x-b:3'])
    expect(canonical({ fields }).signedHeaders).toBe('x-a;x-b')
  })
})

test('text that is not escaped yet is escaped but for what is unreserved', () => {
  expect(encodeUri('AZaz09-_.~')).toBe('AZaz09-_.~')
  expect(encodeUri('a/b c+%41=é')).toBe('a%2Fb%20c%2B%2541%3D%C3%A9')
})
