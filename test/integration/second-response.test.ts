/** A server that answers twice, as one does that was brought out of step: HTTP/1.1 has nothing that ties an answer to its request. */
import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { testClient, until } from '../support/client.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const SECOND = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecond'
const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })

test.each<[string, (request: number) => string, readonly string[]]>([
  ['that came before the next request is never its answer', () => OK + SECOND, ['ok', 'ok']],
  [
    'that comes behind the next request is taken for its answer',
    (request) => (request === 1 ? SECOND : OK),
    ['ok', 'second'],
  ],
])('a second response %s', async (_, answer, expected) => {
  let requests = 0
  const server = await until(
    startTlsServer({
      identity,
      onSocket: (socket) => {
        socket.on('error', () => undefined).on('data', () => socket.write(answer(requests++)))
      },
    }),
  )
  const { fetch } = testClient({ pins: { localhost: [identity.pin] }, anchors: ca.anchorPem })
  const texts = [await (await fetch(server.origin)).text(), await (await fetch(server.origin)).text()]
  expect(texts).toEqual(expected)
})
