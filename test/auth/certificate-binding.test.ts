import { expect, test } from 'vitest'
import { tokenScene } from './token-scene.ts'

test('a token fetched with one certificate is not used with another: a new one is fetched first (BIND-11)', async () => {
  let certificate = 'thumbprint-a'
  const { server, runtime, text, tokens } = tokenScene({ binding: () => certificate })
  expect(await text()).toBe('access-1')
  await runtime.advance(2_000)
  certificate = 'thumbprint-b'
  expect(tokens.session(undefined).ready()).toBeUndefined()
  expect(await text()).toBe('access-2')
  expect(await text()).toBe('access-2')
  expect(server.requests).toHaveLength(2)
})

test('a refresh token outlives the certificate; an access token of another one is not adopted (BIND-11)', async () => {
  let certificate = 'thumbprint-a'
  const { server, runtime, text, sibling } = tokenScene({ kind: 'refresh_token', binding: () => certificate })
  const { memoryTokenStore } = await import('../../src/stores/tokens/memory.ts')
  void text
  const store = memoryTokenStore({ runtime })
  const [one, other] = [sibling({ store }), sibling({ store, binding: () => 'thumbprint-a' })]
  expect(await one.text()).toBe('access-1')
  await runtime.advance(2_000)
  certificate = 'thumbprint-b'
  expect(await one.text()).toBe('access-2')
  expect(await other.text()).toBe('access-3')
  expect(server.requests.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-0', 'refresh-1', 'refresh-2'])
})

test('a server that rejects a token whose certificate was replaced is not doubted (BIND-11)', async () => {
  let certificate = 'thumbprint-a'
  const { tokens, text } = tokenScene({ binding: () => certificate })
  const session = tokens.session(undefined)
  const [origin, doubted] = ['https://api.example', 'https://doubted.example']
  await text()
  const old = session.current?.version ?? ''
  expect(session.reject(old, doubted, true)).toBe(false)
  expect(session.reject(old, doubted, false)).toBe(false)
  certificate = 'thumbprint-b'
  expect(session.reject(old, doubted, false)).toBe(true)
  expect(session.reject(old, origin, true)).toBe(false)
  expect(session.reject(old, origin, false)).toBe(true)
})

test('a certificate that changes on the way makes the token one of nobody’s (BIND-11)', async () => {
  let certificate = 'thumbprint-a'
  const { server, text } = tokenScene({ binding: () => certificate })
  server.script.push(async () => {
    certificate = 'thumbprint-b'
  })
  expect(await text()).toBe('access-2')
  expect(server.requests).toHaveLength(2)
})

test('a certificate that changes every time is ERR_AUTH_CERT_BINDING, and so is none', async () => {
  let count = 0
  const changing = tokenScene({ binding: () => `thumbprint-${count}` })
  changing.server.script.push(
    ...Array.from({ length: 20 }, () => async (): Promise<void> => {
      count += 1
    }),
  )
  await expect(changing.text()).rejects.toMatchObject({ code: 'ERR_AUTH_CERT_BINDING' })
  const none = tokenScene({ binding: () => undefined })
  await expect(none.text()).rejects.toMatchObject({ code: 'ERR_AUTH_CERT_BINDING' })
  expect(none.server.requests).toHaveLength(0)
})
