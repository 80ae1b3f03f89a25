import { inspect } from 'node:util'
import { createTestRuntime, type TestRuntime } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { apiKey } from '../../src/auth/api-key.ts'
import { basic } from '../../src/auth/basic.ts'
import { bearer } from '../../src/auth/bearer.ts'
import type { Attempt, AuthScheme, HeaderPatch } from '../../src/auth/scheme.ts'
import { canonicalOrigin } from '../../src/encoding/host.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import type { SecretSource } from '../../src/keys/secret-source.ts'

const ONE = 'kd83-first-Zq91mmw2'
const TWO = 'kd83-second-Pq02xnv7'
const allowedOrigins = ['https://api.example']
const source = { value: ONE }

describe('what is sent', () => {
  test('an API key stands in its header, with its prefix', async () => {
    expect(await applied(apiKey({ header: 'X-Api-Key', source, allowedOrigins }))).toEqual({ 'x-api-key': ONE })
    const token = apiKey({ header: 'authorization', prefix: 'Token ', source, allowedOrigins })
    expect(await applied(token)).toEqual({ authorization: `Token ${ONE}` })
    expect(token).toMatchObject({ name: 'apiKey', credentialHeaders: ['authorization'], allowedOrigins })
  })

  test('a bearer token is as RFC 6750 has it', async () => {
    expect(await applied(bearer({ source, allowedOrigins }))).toEqual({ authorization: `Bearer ${ONE}` })
  })

  test.each([
    // RFC 7617 §2 and §2.1, with longer passwords.
    ['Aladdin', 'open sesame open sesame', 'QWxhZGRpbjpvcGVuIHNlc2FtZSBvcGVuIHNlc2FtZQ=='],
    ['test', '123£ 123£ 123£ 123£', Buffer.from('test:123£ 123£ 123£ 123£').toString('base64')],
    ['Jose\u0301', 'a:colon-is-allowed-here', Buffer.from('José:a:colon-is-allowed-here').toString('base64')],
  ])('basic credentials of %s are UTF-8 in normalization form C', async (username, value, expected) => {
    const headers = await applied(basic({ username, password: { value }, allowedOrigins }))
    expect(headers).toEqual({ authorization: `Basic ${expected}` })
  })
})

describe('what is refused', () => {
  test.each([{ query: 'api_key' }, { in: 'query', name: 'api_key' }])(
    'a key in the query string is ERR_CONFIG_INVALID: %j (BIND-06)',
    (place) => {
      const make = () => apiKey({ ...place, source, allowedOrigins } as never)
      expect(make).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
      expect(make).toThrow(/query string/)
    },
  )

  test('a secret that stands in the URL as well is ERR_AUTH_CREDENTIAL_IN_URL, and nothing is sent (BIND-06)', async () => {
    const value = 'kd83/first+Zq91=mmw2'
    for (const query of [`key=${value}`, `key=${encodeURIComponent(value)}`]) {
      const scheme = apiKey({ header: 'x-api-key', source: { value }, allowedOrigins })
      const error = await rejection(async () => applied(scheme, `https://api.example/?${query}`))
      expect(error).toMatchObject({ name: 'AuthError', code: 'ERR_AUTH_CREDENTIAL_IN_URL', requestSent: 'no' })
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/kd83/)
    }
    expect(
      await applied(apiKey({ header: 'x-api-key', source, allowedOrigins }), 'https://api.example/?a=kd83'),
    ).toEqual({ 'x-api-key': ONE })
  })

  test.each([
    ...['http://api.example', 'https://api.example/v1', 'https://api.example/?a', 'https://u@api.example', '*'],
    ...['https://*.example', 'api.example', '', 'https://api.example#a', 'ftp://api.example', 'https://'],
  ])('an origin that is no https origin is ERR_CONFIG_INVALID: %s', (origin) => {
    for (const make of makers([origin])) expect(make).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })

  test('no origin at all is ERR_CONFIG_INVALID', () => {
    for (const origins of [[], null, 'https://api.example', [7]])
      for (const make of makers(origins as never))
        expect(make).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
  })

  test('origins are written in one way', () => {
    const { allowedOrigins: written } = bearer({
      source,
      allowedOrigins: ['https://API.example:443', 'https://api.example/', 'https://127.0.0.1:8443', 'https://[::1]:1'],
    })
    expect(written).toEqual(['https://api.example', 'https://127.0.0.1:8443', 'https://[::1]:1'])
  })

  test.each(['', 'x api key', 'x-api-key\r\nx', 'x:', 'host', 'Content-Length', 'cookie', 'transfer-encoding', 'clé'])(
    'a header named %j is ERR_CONFIG_INVALID',
    (header) => {
      expect(() => apiKey({ header, source, allowedOrigins })).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
      )
    },
  )

  test('a prefix that ends the header is ERR_CONFIG_INVALID', () => {
    for (const prefix of ['a\r\nb: ', ' a', 'é']) {
      expect(() => apiKey({ header: 'x-api-key', prefix, source, allowedOrigins })).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
      )
    }
  })

  test.each([
    ['a line break', `${ONE}\r\nhost: evil.example`],
    ['a newline at its end', `${ONE}\n`],
    ['a NUL', `${ONE}\0`],
  ])('a secret with %s is ERR_KEY_SOURCE_INVALID in every scheme', async (_, value) => {
    for (const make of makers(allowedOrigins, { value })) {
      const error = await rejection(async () => applied(make()))
      expect(error).toMatchObject({ code: 'ERR_KEY_SOURCE_INVALID' })
      expect(inspect(error, { depth: 9 })).not.toMatch(/kd83/)
    }
  })

  test('a secret that is no visible ASCII is ERR_KEY_SOURCE_INVALID but for a password', async () => {
    for (const value of [`${ONE} ${TWO}`, `${ONE}é`, ` ${ONE}`]) {
      const [key, token, password] = makers(allowedOrigins, { value })
      expect(await rejection(async () => applied(key()))).toMatchObject({ code: 'ERR_KEY_SOURCE_INVALID' })
      expect(await rejection(async () => applied(token()))).toMatchObject({ code: 'ERR_KEY_SOURCE_INVALID' })
      expect((await applied(password()))['authorization']).toMatch(/^Basic /)
    }
    const bytes = { value: Uint8Array.from({ length: 32 }, (_, at) => 200 + at) }
    const [, , password] = makers(allowedOrigins, bytes)
    expect(await rejection(async () => applied(password()))).toMatchObject({ code: 'ERR_KEY_SOURCE_INVALID' })
  })

  test.each(['', 'a:b', 'a\nb', 'a\u0000'])('a user name of %j is ERR_CONFIG_INVALID', (username) => {
    expect(() => basic({ username, password: source, allowedOrigins })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    )
  })

  test('wrong options are named, and their values are not shown: ERR_CONFIG_INVALID', () => {
    for (const wrong of [{ source: ONE }, { source: { value: ONE, also: TWO } }, { key: ONE, source }, undefined]) {
      const error = thrown(() => bearer({ allowedOrigins, ...wrong } as never))
      expect(error).toMatchObject({ code: 'ERR_CONFIG_INVALID' })
      expect(inspect(error, { depth: 9 })).not.toMatch(/kd83/)
    }
  })

  test('a missing secret ends the start: ERR_KEY_SOURCE_MISSING', () => {
    const scheme = bearer({ source: { env: 'PINFETCH_TEST_NO_KEY' }, allowedOrigins })
    expect(() => bound(scheme)).toThrow(expect.objectContaining({ code: 'ERR_KEY_SOURCE_MISSING' }))
  })
})

describe('a rotation', () => {
  test('is noticed by a 401, and the request goes again with the new key (KEY-10)', async () => {
    const { send, rotate } = rotating()
    expect(await send(200)).toEqual([ONE])
    rotate(TWO)
    expect(await send(401, 200)).toEqual([ONE, TWO])
    expect(await send(200)).toEqual([TWO])
  })

  test('a second 401 is the caller’s, and the source is asked once a second at most', async () => {
    const { send, asked, runtime } = rotating()
    for (let i = 0; i < 30; i += 1) expect(await send(401)).toEqual([ONE])
    expect(asked).toEqual(['initial', 'rejected'])
    await runtime.advance(1_000)
    await send(401)
    expect(asked).toEqual(['initial', 'rejected', 'rejected'])
  })

  test('that came before the server knew of it: the key before is used for the overlap, and not longer', async () => {
    const { send, rotate, runtime } = rotating({ overlapMs: 60_000 })
    await send(200)
    rotate(TWO)
    expect(await send(401, 200)).toEqual([ONE, TWO])
    await runtime.advance(1_000)
    expect(await send(401, 200)).toEqual([TWO, ONE])
    expect(await send(200)).toEqual([ONE])
    await runtime.advance(60_000)
    expect(await send(200)).toEqual([TWO])
    expect(await send(401)).toEqual([TWO])
  })

  test('the key before is let go when its server refuses it', async () => {
    const { send, rotate, runtime } = rotating()
    await send(200)
    rotate(TWO)
    expect(await send(401, 200)).toEqual([ONE, TWO])
    await runtime.advance(1_000)
    expect(await send(401, 200)).toEqual([TWO, ONE])
    expect(await send(401, 200)).toEqual([ONE, TWO])
    expect(await send(200)).toEqual([TWO])
  })

  test('no other answer than 401 asks for another key', async () => {
    const { send, asked } = rotating()
    for (const status of [200, 302, 400, 403, 407, 500]) expect(await send(status)).toEqual([ONE])
    expect(asked).toEqual(['initial'])
  })

  test('a source that fails then leaves the 401 to the caller', async () => {
    const { send, rotate } = rotating()
    await send(200)
    rotate(undefined)
    expect(await send(401)).toEqual([ONE])
  })
})

test('neither a scheme nor its events show a secret (KEY-13)', async () => {
  const events: ClientEvent[] = []
  for (const make of makers()) {
    const scheme = make()
    const authenticator = bound(scheme, createTestRuntime(), events)
    const tried = attempt()
    await authenticator.apply(tried)
    const shown = [inspect([scheme, authenticator, tried.state, events], { depth: 9, showHidden: true })]
    for (const text of [...shown, JSON.stringify([scheme, authenticator, tried.state, events])]) {
      expect(text).not.toMatch(/kd83/)
    }
  }
})

function makers(origins: readonly string[] = allowedOrigins, from: SecretSource = source) {
  return [
    () => apiKey({ header: 'x-api-key', source: from, allowedOrigins: origins }),
    () => bearer({ source: from, allowedOrigins: origins }),
    () => basic({ username: 'me', password: from, allowedOrigins: origins }),
  ] as const
}

function bound(scheme: AuthScheme, runtime: TestRuntime = createTestRuntime(), events: ClientEvent[] = []) {
  const emit = (event: ClientEvent): void => void events.push(event)
  const authenticator = scheme.bind({ fetch: () => expect.unreachable('nothing is fetched'), runtime, emit })
  onTestFinished(() => authenticator.close?.({ signal: new AbortController().signal }))
  return authenticator
}

async function applied(scheme: AuthScheme, url?: string): Promise<HeaderPatch> {
  return bound(scheme).apply(attempt(url))
}

function attempt(href = 'https://api.example/', number = 0): Attempt {
  const url = new URL(href)
  const origin = canonicalOrigin(url) ?? expect.unreachable('a host')
  return { method: 'GET', url, origin, headers: new Headers(), isReplayable: true, number, signal: null }
}

/** A source that is turned by hand, and a server whose answers are given. */
function rotating({ overlapMs }: { readonly overlapMs?: number } = {}) {
  const runtime = createTestRuntime()
  const asked: string[] = []
  let value: string | undefined = ONE
  const from: SecretSource = async ({ reason }) => {
    asked.push(reason)
    if (value === undefined) throw new Error('kd83')
    return { value }
  }
  const scheme = apiKey({
    header: 'x-api-key',
    source: from,
    allowedOrigins,
    ...(overlapMs === undefined ? {} : { overlapMs }),
  })
  const authenticator = bound(scheme, runtime)
  /** The keys that were sent, as a client sends: again for as long as the scheme says so. */
  const send = async (...statuses: readonly number[]): Promise<readonly (string | undefined)[]> => {
    const keys: (string | undefined)[] = []
    for (let number = 0; ; number += 1) {
      const tried = attempt(undefined, number)
      keys.push((await authenticator.apply(tried))['x-api-key'])
      const status = statuses[number] ?? 401
      const head = { status, headers: new Headers(), receivedAt: runtime.clock.now() }
      const outcome = await authenticator.onResponse?.(head, tried)
      if (outcome === undefined || outcome === 'done') return keys
    }
  }
  const rotate = (next: string | undefined): void => {
    value = next
  }
  return { send, rotate, asked, runtime }
}

function thrown(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

async function rejection(work: () => Promise<unknown>): Promise<unknown> {
  return work().then(
    () => expect.unreachable('it was accepted'),
    (error) => error,
  )
}
