import type { ClientHttp2Session } from 'node:http2'
import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Exchange } from '../../src/transport/exchange.ts'
import { Http2Stream } from '../../src/transport/http2-stream.ts'

/** Node reads on within the write of another request, and then raises `data` at once and `response` in a later tick. */
test('header fields are told before a body that Node raised earlier', async () => {
  const calls: string[] = []
  const exchange = {
    sent: { origin: 'https://api.example.com', path: '/', method: 'GET' },
    onConnect: () => undefined,
    onRequestSent: () => undefined,
    onResponseStarted: () => undefined,
    onHeaders: (status: number) => calls.push(`headers ${status}`) > 0,
    onData: (chunk: Buffer) => calls.push(`data ${chunk}`) > 0,
    onComplete: () => calls.push('complete'),
    onError: (error: Error) => calls.push(String(error)),
  }
  const raised = Object.assign(new PassThrough(), { rstCode: 0, close: () => undefined })
  const session = { request: () => raised } as unknown as ClientHttp2Session
  const stream = new Http2Stream(exchange as unknown as Exchange, 16_384, () => new Error('cut'))
  stream.start(session, 'api.example.com', {} as never)
  await turn()
  raised.push('body')
  raised.push(null)
  await turn()
  expect(calls).toEqual([])
  raised.emit('response', { ':status': 200 }, 0, [':status', '200'])
  await turn()
  expect(calls).toEqual(['headers 200', 'data body', 'complete'])
})
