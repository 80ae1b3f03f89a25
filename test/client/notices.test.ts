import { describe, expect, test } from 'vitest'
import { createNotices } from '../../src/client/notices.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import { originOf } from '../support/policy.ts'

const API = originOf('https://api.example.com')
const SUNSET = 'Wed, 11 Nov 2026 23:59:59 GMT'
const SUNSET_MS = Date.UTC(2026, 10, 11, 23, 59, 59)

function start() {
  const events: ClientEvent[] = []
  const hsts: string[] = []
  const read = createNotices({ emit: (event) => events.push(event), onHsts: (_, field) => hsts.push(field) })
  const respond = (headers: readonly (readonly [string, string])[], path = '/v1/users', origin = API): void =>
    read(
      origin,
      path,
      headers.flat().map((text) => Buffer.from(text, 'latin1')),
    )
  return { events, hsts, respond }
}

function told(headers: readonly (readonly [string, string])[], path?: string): readonly ClientEvent[] {
  const { events, respond } = start()
  respond(headers, path)
  return events
}

describe('Deprecation (RFC 9745)', () => {
  test.each<[string, number | undefined]>([
    ['@1688169599', 1_688_169_599_000],
    ['@0', 0],
    ['@-1', -1_000],
    [' @1688169599;x=1 ', 1_688_169_599_000],
    ['true', undefined],
    ['?1', undefined],
    [SUNSET, SUNSET_MS],
  ])('%s', (field, date) => {
    const event = { type: 'api.deprecated', host: 'api.example.com', path: '/v1/users' }
    expect(told([['Deprecation', field]])).toEqual([date === undefined ? event : { ...event, date }])
  })

  test.each([
    '',
    'false',
    '?0',
    '1688169599',
    '@',
    '@1.5',
    '@9999999999999999',
    '@999999999999999',
    'yesterday',
    `@1;${'x'.repeat(4_096)}`,
  ])('%j says nothing', (field) => {
    expect(told([['deprecation', field]])).toEqual([])
  })
})

describe('Sunset (RFC 8594)', () => {
  test('an HTTP date', () => {
    const event = { type: 'api.sunset', host: 'api.example.com', path: '/v1/users', date: SUNSET_MS }
    expect(told([['Sunset', SUNSET]])).toEqual([event])
  })

  test.each([
    '',
    '@1688169599',
    '2026-11-11',
    'Wed, 11 Nov 2026 23:59:59',
    'Wed, 41 Nov 2026 23:59:59 GMT',
    'Wed, 11 Xyz 2026 23:59:59 GMT',
  ])('%j says nothing', (field) => {
    expect(told([['sunset', field]])).toEqual([])
  })
})

describe('links', () => {
  const linkIn = (...fields: readonly string[]) =>
    told([['deprecation', '@1'], ...fields.map((field) => ['Link', field] as const)]).map((event) =>
      'link' in event ? event.link : undefined,
    )[0]

  test.each<[string, string | undefined]>([
    ['<https://docs.example.com/v2>; rel="deprecation"; type="text/html"', 'https://docs.example.com/v2'],
    ['<https://docs.example.com/v2>; rel=deprecation', 'https://docs.example.com/v2'],
    ['</v2?token=secret#x>; rel="deprecation"', 'https://api.example.com/v2'],
    ['</a>; rel="next", </b>; title="a, <b>; rel=deprecation"; REL="help Deprecation"', 'https://api.example.com/b'],
    ['</a>; rel="sunset"', undefined],
    ['<http://docs.example.com/v2>; rel="deprecation"', undefined],
    ['<javascript:alert(1)>; rel="deprecation"', undefined],
    ['<https://user:word@docs.example.com/v2>; rel="deprecation"', 'https://docs.example.com/v2'],
    ['<https://[>; rel="deprecation"', undefined],
    ['', undefined],
  ])('%s', (field, link) => {
    expect(linkIn(field)).toBe(link)
  })

  test('of several fields', () => {
    expect(linkIn('</a>; rel=next', '</b>; rel=deprecation')).toBe('https://api.example.com/b')
  })

  test('each event has its own', () => {
    const links = '</a>; rel=deprecation, </b>; rel=sunset'
    expect(
      told([
        ['deprecation', '@1'],
        ['sunset', SUNSET],
        ['link', links],
      ]),
    ).toMatchObject([
      { type: 'api.deprecated', link: 'https://api.example.com/a' },
      { type: 'api.sunset', link: 'https://api.example.com/b' },
    ])
  })

  test('hostile ones cost no time', () => {
    for (const text of [
      '<'.repeat(100_000),
      '<>"'.repeat(50_000),
      `<>;${' '.repeat(100_000)}`,
      '<a>; rel="'.repeat(20_000),
    ]) {
      expect(linkIn(text)).toBeUndefined()
    }
  })
})

describe('paths', () => {
  test.each([
    ['/v1/users?key=secret', '/v1/users'],
    ['/v1/users/42/orders', '/v1/users/*/orders'],
    ['/services/T00000000/B00000000/XXXXXXXXXXXXXXXX', '/services/*/*/*'],
    ['/bot123456:ABC-DEF/sendMessage', '/*/*'],
    ['/v1.2/price-lists/', '/v1.2/price-lists/'],
    ['/a/abcdefghijklmnopqrstuvwxyz', '/a/*'],
    ['/a\nb', '/*'],
    ['/', '/'],
    [`/${'a/'.repeat(20)}`, '/a/a/a/a/a/a/a/a'],
  ])('%j is told as %s', (path, shown) => {
    expect(told([['deprecation', '@1']], path)).toMatchObject([{ path: shown }])
  })
})

describe('something in between', () => {
  test.each(['Via', 'Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto'])('%s', (name) => {
    const field = name.toLowerCase()
    expect(told([[name, '1.1 proxy']])).toEqual([
      { type: 'network.proxySign', host: 'api.example.com', field, value: '1.1 proxy' },
    ])
  })

  test('several fields of a name are one value, printable and short', () => {
    expect(
      told([
        ['via', '1.1 a'],
        ['VIA', '1.1 b\x1b[2J'],
      ]),
    ).toMatchObject([{ value: '1.1 a, 1.1 b?[2J' }])
    expect(told([['via', 'x'.repeat(10_000)]])).toMatchObject([{ value: 'x'.repeat(200) }])
  })
})

describe('how often', () => {
  test('once an origin and value', () => {
    const { events, respond } = start()
    const headers = [
      ['deprecation', '@1'],
      ['sunset', SUNSET],
      ['via', '1.1 a'],
    ] as const
    for (let round = 0; round < 3; round += 1) respond(headers, `/v1/${round}`)
    expect(events.length).toBe(3)
    respond([['deprecation', '@2']])
    respond([['via', '1.1 b']])
    respond(headers, '/', originOf('https://other.example.com'))
    expect(events.length).toBe(8)
  })

  test('memory of it is bounded: after 1,000 others it is told again', () => {
    const { events, respond } = start()
    respond([['via', 'first']])
    for (let at = 0; at < 1_000; at += 1) respond([['via', `other ${at}`]])
    respond([['via', 'first']])
    expect(events.filter((event) => 'value' in event && event.value === 'first').length).toBe(2)
  })
})

test('the first Strict-Transport-Security of a response is handed on, at every response', () => {
  const { hsts, respond, events } = start()
  for (let round = 0; round < 2; round += 1) {
    respond([
      ['Strict-Transport-Security', 'max-age=1'],
      ['strict-transport-security', 'max-age=0'],
    ])
  }
  expect([hsts, events]).toEqual([['max-age=1', 'max-age=1'], []])
})

test('other fields say nothing', () => {
  expect(
    told([
      ['content-type', 'text/html'],
      ['link', '</a>; rel=deprecation'],
      ['vary', 'via'],
      ['x', 'y'],
    ]),
  ).toEqual([])
})
