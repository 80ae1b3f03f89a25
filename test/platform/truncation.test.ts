/**
 * Two ends of a TLS connection that node:tls does not tell apart: the peer's close_notify, and a bare FIN, which anybody on the
 * path can send (RFC 8446 §6.1). A body that only the end of its connection ends may therefore be cut short unseen; SECURITY.md
 * says so. Once a Node tells them apart, such a body has to be refused.
 */
import * as tls from 'node:tls'
import { type ScriptedFault, startFaultServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { until } from '../support/client.ts'

const ca = testCa()
const identity = ca.issue({ names: ['localhost'] })
const HEAD = 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n'

/** What a socket tells once the bytes were there. */
async function endingOf(fault: 'close' | 'cut' | 'reset'): Promise<readonly string[]> {
  const script: readonly ScriptedFault[] = [
    { at: 'response', fault: 'bytes', bytes: `${HEAD}half` },
    { at: 'response', fault, after: 'end' },
  ]
  const peer = await until(startFaultServer({ identity, script: [script] }))
  const socket = tls.connect({ host: '127.0.0.1', port: peer.port, servername: 'localhost', ca: ca.anchorPem })
  const told: string[] = []
  socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'))
  socket.on('data', () => undefined)
  for (const event of ['end', 'error', 'close']) {
    socket.on(event, (detail?: unknown) => {
      told.push(
        detail instanceof Error ? `${event} ${(detail as { code?: string }).code}` : `${event} ${detail ?? ''}`.trim(),
      )
    })
  }
  await new Promise((resolve) => socket.once('close', resolve))
  return told
}

test('a bare FIN ends a socket as close_notify does', async () => {
  const wanted = ['end', 'close false']
  expect(await endingOf('close')).toEqual(wanted)
  expect(await endingOf('cut')).toEqual(wanted)
})

test('a reset does not', async () => {
  expect(await endingOf('reset')).toEqual(['error ECONNRESET', 'close true'])
})
