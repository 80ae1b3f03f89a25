import { fakeClient } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { refusalOf } from '../support/client.ts'

const answer =
  (status: number, headers = {}) =>
  async () =>
    new Response(null, { status, headers })

test('keeps the contract of fetch: https, redirects and wrong URLs', async () => {
  const client = fakeClient({ fetch: answer(302, { location: 'https://other.example.com/' }) })
  await refusalOf(client.fetch('http://api.example.com/'), 'ERR_POLICY_PLAINTEXT')
  await refusalOf(client.fetch('/v1'), 'ERR_CONFIG_URL')
  await refusalOf(client.fetch('https://api.example.com/'), 'ERR_POLICY_REDIRECT')
  expect((await client.fetch('https://api.example.com/', { redirect: 'manual' })).status).toBe(302)
})

test('refuses uncovered hosts and named ones, before the injected fetch is asked', async () => {
  let asked = 0
  const client = fakeClient({
    fetch: async () => new Response(String(asked++)),
    covers: ['*.example.com'],
    refuses: { 'bad.example.com': 'ERR_TRUST_PIN_DENIED' },
  })
  await refusalOf(client.fetch('https://example.org/'), 'ERR_TRUST_HOST_NOT_COVERED')
  await refusalOf(client.fetch('https://bad.example.com/'), 'ERR_TRUST_PIN_DENIED')
  expect(asked).toBe(0)
  expect((await client.fetch('https://good.example.com/')).status).toBe(200)
})

test('delivers events and answers the health it was given', async () => {
  const client = fakeClient({ health: { state: 'degraded' } })
  const heard: string[] = []
  client.on('posture', ({ subject }) => heard.push(subject))
  client.emit({ type: 'posture', subject: 'a test', effect: 'none' })
  expect([heard, client.health().state]).toEqual([['a test'], 'degraded'])
  await client.ready()
  await client.close()
})
