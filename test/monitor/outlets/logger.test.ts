import type { ClientEvent } from 'pinfetch'
import { type Logger, type LogOptions, logTo } from 'pinfetch/monitor'
import { fakeClient } from 'pinfetch/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { HOST, handshake, mismatch } from './samples.ts'

type Line = readonly [level: string, fields: Record<string, unknown>, message: string]

function scene(options: LogOptions = {}, lines: Line[] = []) {
  const client = fakeClient()
  const log = (level: string) => (fields: object, message: string) => void lines.push([level, { ...fields }, message])
  const logger: Logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
  const outlet = logTo(client, logger, options)
  onTestFinished(() => outlet.close())
  return { client, outlet, lines, settle: () => vi.waitUntil(() => outlet.queued === 0, { timeout: 20_000 }) }
}

test('each event is logged by what it means, and not in the tick of its cause', async () => {
  const { client, lines, settle } = scene()
  for (const event of [handshake(), ...mismatch] as readonly ClientEvent[]) client.emit(event)
  client.emit({ type: 'tls.keyChanged', host: HOST, before: 'a', after: 'b', manifestVersion: 1 })
  expect(lines).toEqual([])
  await settle()
  expect(lines.map(([level, { event }]) => `${level} ${String(event)}`)).toEqual([
    'debug tls.handshake',
    'error tls.rejected',
    'info tls.handshake',
    'warn tls.keyChanged',
  ])
  expect(lines[1]?.[1]).toMatchObject({ host: HOST, code: 'ERR_TRUST_PIN_MISMATCH', findings: [{}] })
  expect(lines[0]?.[1]).not.toHaveProperty('staple')
})

test('a level can be another one, or none', async () => {
  const { client, lines, settle } = scene({ levels: { 'tls.handshake': 'silent', 'tls.rejected': 'warn' } })
  for (const event of mismatch) client.emit(event)
  await settle()
  expect(lines.map(([level]) => level)).toEqual(['warn'])
})

test('a logger that throws harms nobody, and is told of', async () => {
  const client = fakeClient()
  const told: ClientEvent[] = []
  client.on('outlet.failed', (event) => void told.push(event))
  const fail = () => {
    throw new Error('EPIPE')
  }
  const outlet = logTo(client, { debug: fail, info: fail, warn: fail, error: fail })
  client.emit(handshake())
  await vi.waitUntil(() => outlet.dropped === 1, { timeout: 20_000 })
  expect(told).toMatchObject([{ outlet: 'logger', dropped: 1, message: 'the logger threw at debug' }])
  await outlet.close()
})

test('what is no logger, and a level that is none, are ERR_CONFIG_INVALID', () => {
  const client = fakeClient()
  const code = expect.objectContaining({ code: 'ERR_CONFIG_INVALID' })
  expect(() => logTo(client, {} as Logger)).toThrow(code)
  expect(() => logTo(client, console, { levels: { 'tls.rejected': 'loud' as 'warn' } })).toThrow(code)
  void logTo(client, console).close()
})
