import { expect, test } from 'vitest'
import { VerifyError } from '../../src/errors/errors.ts'
import { receivedRequest } from '../../src/signing/received-request.ts'

const ORIGIN = 'https://api.example'

test('a request of Node: names in lower case, each line by itself, the trailers beside', () => {
  const request = {
    method: 'POST',
    url: '/a?b=http://c/d',
    rawHeaders: ['Host', 'inner', 'X-A', '1', 'x-a', '2'],
    rawTrailers: ['X-Sum', '3'],
  }
  expect(receivedRequest(request, ORIGIN)).toStrictEqual({
    kind: 'request',
    method: 'POST',
    url: 'https://api.example/a?b=http://c/d',
    fields: [
      ['host', 'inner'],
      ['x-a', '1'],
      ['x-a', '2'],
    ],
    trailers: [['x-sum', '3']],
  })
})

test('the pseudo-header fields of HTTP/2 are no fields, nor is a name without a value', () => {
  const rawHeaders = [':method', 'GET', ':path', '/', 'a:', '1', 'b']
  expect(receivedRequest({ method: 'GET', url: '/', rawHeaders }, ORIGIN).fields).toEqual([['a:', '1']])
})

test('a request of which nothing is known yet is a GET of the root', () => {
  expect(receivedRequest({ rawHeaders: [] }, ORIGIN)).toStrictEqual({
    ...{ kind: 'request', method: 'GET', url: 'https://api.example/', fields: [], trailers: [] },
  })
})

test.each([
  ['*', 'https://api.example'],
  ['http://inner:8080/a?b', 'https://api.example/a?b'],
  ['http://inner:8080', 'https://api.example/'],
  ['http://inner?b', 'https://api.example/?b'],
  ['inner:443', 'https://api.example/inner:443'],
])('%s as a target is kept, and the URL is of the origin (RFC 9112 §3.2): %s', (target, url) => {
  expect(receivedRequest({ method: 'OPTIONS', url: target, rawHeaders: [] }, ORIGIN)).toMatchObject({ target, url })
})

test.each([
  ['http://inner:8080/a?b=http://c/d', 'https://api.example/a?b=http://c/d'],
  ['http://inner', 'https://api.example/'],
  ['http://inner/a?', 'https://api.example/a?'],
  ['/a?b=http://c/d', 'https://api.example/a?b=http://c/d'],
  ['?b=http://c/d', 'https://api.example/?b=http://c/d'],
])('a request of fetch to %s was one to %s', (url, expected) => {
  const request = { method: 'PUT', url, headers: [['X-A', '1']] as const }
  expect(receivedRequest(request, ORIGIN)).toStrictEqual({
    ...{ kind: 'request', method: 'PUT', url: expected, fields: [['x-a', '1']] },
  })
})

test('a target with a fragment is refused with ERR_VERIFY_MALFORMED, of Node and of fetch', () => {
  const refusal = new VerifyError('ERR_VERIFY_MALFORMED', 'request: expected a target without a fragment, saw one')
  expect(() => receivedRequest({ url: '/a#b', rawHeaders: [] }, ORIGIN)).toThrow(refusal)
  expect(() => receivedRequest({ method: 'GET', url: 'https://a/#', headers: [] }, ORIGIN)).toThrow(refusal)
})
