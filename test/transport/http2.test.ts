import { describe, expect, test } from 'vitest'
import { refusalOf } from '../support/client.ts'
import { ok, start } from './http2-stage.ts'

test('one request', async () => {
  const { send, peer } = await start()
  expect(await send()).toEqual({ status: 200, text: 'ok' })
  expect(peer.connections[0]?.alpn).toBe('h2')
})

test('64 at once on a fresh pool: one connection', async () => {
  const { send, peer, streams } = await start({ onStream: (stream) => void setTimeout(() => ok(stream), 20) })
  const answers = await Promise.all(Array.from({ length: 64 }, () => send()))
  expect(answers.every(({ status }) => status === 200)).toBe(true)
  expect([peer.connections.length, streams.length]).toEqual([1, 64])
})
