import { expect, test } from 'vitest'
import { fieldLines, wireParts } from '../../src/signing/message.ts'

test.each([
  ['https://api.example', 'api.example', '', ''],
  ['https://api.example/a%20b/c', 'api.example', '/a%20b/c', ''],
  ['http://api.example:8080/a?x=1&y', 'api.example:8080', '/a', 'x=1&y'],
  ['https://api.example?x', 'api.example', '', 'x'],
  ['https://api.example/a?', 'api.example', '/a', ''],
  ['https://api.example/a??b?c', 'api.example', '/a', '?b?c'],
  ['https://api.example/a?b#c', 'api.example', '/a', 'b'],
  ['https://api.example/a#b?c', 'api.example', '/a', ''],
  ['HTTPS://API.Example/', 'API.Example', '/', ''],
  ['git+https://api.example/a?b', '', '', ''],
])('%s: authority, path and query are those of the wire', (url, authority, path, query) => {
  expect(wireParts(url)).toEqual({ authority, path, query })
})

test('names and values in turn are lines, names in lower case; a name without a value is none', () => {
  expect(fieldLines(['X-A', '1', 'x-a', 'B', 'x-c'])).toEqual([
    ['x-a', '1'],
    ['x-a', 'B'],
  ])
})
