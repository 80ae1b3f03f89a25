import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type DigestOf, digestField, digestsMatch, readDigest } from '../../src/signing/content-digest.ts'
import { hasVectors, vectorJson } from '../support/vectors.ts'

interface Digests {
  readonly computed: readonly { readonly body: string; readonly 'sha-256': string; readonly 'sha-512': string }[]
  readonly matches: readonly { readonly alg: string; readonly value: string; readonly body: string | null }[]
  readonly headerExamples: readonly string[]
}

const isPresent = hasVectors('signing/digest')

describe.skipIf(!isPresent)('the examples of RFC 9530', () => {
  const { computed, matches, headerExamples } = isPresent
    ? vectorJson<Digests>('signing/digest/digest.json')
    : { computed: [], matches: [], headerExamples: [] }

  test.each(computed)('$body is hashed and recognised', (row) => {
    const field = digestField(['sha-256', 'sha-512'], digestOf(row.body))
    expect(field).toBe(`sha-256=:${row['sha-256']}:, sha-512=:${row['sha-512']}:`)
    expect(matchesBody(field, row.body)).toBe(true)
    expect(matchesBody(field, `${row.body} `)).toBe(false)
  })

  test('each example whose body is known is its digest; the one with a base64 that is none is malformed', () => {
    const known = matches.filter(({ body }) => body !== null)
    expect(known.map(({ alg, value, body }) => matchesBody(`${alg}=:${value}:`, body ?? ''))).toEqual(
      known.map(() => true),
    )
    const malformed = headerExamples.filter((field) => readDigest(field).kind === 'malformed')
    expect(malformed).toEqual(['sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg==:'])
  })
})

const SHA_256 = 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:'

test.each([
  ['md5 alone', 'md5=:1B2M2Y8AsgTpgAmY7PhCfg==:', 'unsupported'],
  ['sha and unixsum', 'sha=:2jmj7l5rSw0yVb/vlWAYkK/YBwk=:, unixsum=1', 'malformed'],
  ['sha alone', 'sha=:2jmj7l5rSw0yVb/vlWAYkK/YBwk=:', 'unsupported'],
  ['nothing', '', 'unsupported'],
  ['an algorithm twice', `${SHA_256}, ${SHA_256}`, 'malformed'],
  ['a digest that is too short', 'sha-256=:AQID:', 'malformed'],
  ['a digest that is text', 'sha-256="AQID"', 'malformed'],
  ['a list of digests', `sha-256=(${SHA_256.slice(8)})`, 'malformed'],
  ['no dictionary', 'sha-256=', 'malformed'],
  ['one that is known beside one that is not', `md5=:1B2M2Y8AsgTpgAmY7PhCfg==:, ${SHA_256}`, 'digests'],
])('%s is %s', (_, field, kind) => {
  expect(readDigest(field).kind).toBe(kind)
})

test('a sender that gives two digests stands by both', () => {
  const right = digestField(['sha-256'], digestOf('body'))
  const wrong = digestField(['sha-512'], digestOf('other'))
  expect(matchesBody(right, 'body')).toBe(true)
  expect(matchesBody(`${right}, ${wrong}`, 'body')).toBe(false)
})

function digestOf(body: string): DigestOf {
  return (hash) => createHash(hash).update(body).digest()
}

function matchesBody(field: string, body: string): boolean {
  const read = readDigest(field)
  return read.kind === 'digests' && digestsMatch(read.digests, digestOf(body))
}
