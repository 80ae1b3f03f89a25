import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseStrictJson } from '../../src/encoding/json.ts'

const parse = (text: string) => parseStrictJson(new TextEncoder().encode(text))

test('reads what JSON.parse reads, whatever the document', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), (text) => {
      const result = parse(text)
      if (result.ok) expect(result.value).toEqual(JSON.parse(text))
      else expect(result.failure).toBe('duplicate')
    }),
  )
})

test.each([
  ['{"a":1,"a":2}', 'duplicate'],
  ['{"a":1,"\\u0061":2}', 'duplicate'],
  ['{"x":{"a":1,"b":[{"a":1,"a":1}]}}', 'duplicate'],
  ['{"__proto__":1,"__proto__":2}', 'duplicate'],
  ['{"a":', 'json'],
  ['', 'json'],
  ['\ufeff{}', 'json'],
  ['{"a":1}{}', 'json'],
  [`${'['.repeat(13)}${']'.repeat(13)}`, 'depth'],
  [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'depth'],
])('%j is refused as %s', (text, failure) => {
  expect(parse(text)).toEqual({ ok: false, failure })
})

test.each([
  ['{"a":{"b":1},"b":{"a":1}}'],
  ['[{"a":1},{"a":2}]'],
  ['{"a":"a","b":"a\\"b\\\\","c":"{\\"a\\":1,\\"a\\":2}"}'],
  [`${'['.repeat(12)}${']'.repeat(12)}`],
  [' { "a" : [ ] , "b" : { } } \n'],
])('%j is read', (text) => {
  expect(parse(text)).toEqual({ ok: true, value: JSON.parse(text) })
})

test.each([[[0xff]], [[0xc0, 0x80]], [[0xed, 0xa0, 0x80]], [[0xe2, 0x82]]])('the bytes %j are no UTF-8', (bytes) => {
  expect(parseStrictJson(Uint8Array.of(0x22, ...bytes, 0x22))).toEqual({ ok: false, failure: 'utf8' })
})
