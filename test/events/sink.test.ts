import { type ClientEvent, createEventSink } from 'pinfetch'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test, vi } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'

const event = (subject: string): ClientEvent => ({ type: 'posture', subject, effect: '' })
const subjectOf = (given: ClientEvent): string => (given.type === 'posture' ? given.subject : given.type)

test('a sink hands on one event at a time, in order, and not in the tick of its cause', async () => {
  const log: string[] = []
  const sink = createEventSink(async (given) => {
    log.push(`begin ${subjectOf(given)}`)
    await new Promise(setImmediate)
    log.push(`end ${subjectOf(given)}`)
    if (subjectOf(given) === 'a') sink(event('c')) // comes while the queue is walked
  })
  sink(event('a'))
  sink(event('b'))
  expect([log, sink.queued]).toEqual([[], 2])
  await vi.waitUntil(() => sink.queued === 0)
  expect(log).toEqual(['begin a', 'end a', 'begin b', 'end b', 'begin c', 'end c'])
  sink(event('d')) // the queue was empty
  await vi.waitUntil(() => sink.queued === 0)
  expect(log.at(-1)).toBe('end d')
  expect([sink.dropped, sink.failed]).toEqual([0, 0])
})

test('F69: a sink that hangs fills up, what comes then is dropped and counted, and goes on when it comes back', async () => {
  const delivered: string[] = []
  let comeBack = (): void => {}
  const hanging = new Promise<void>((resolve) => {
    comeBack = resolve
  })
  const sink = createEventSink(
    async (given) => {
      await hanging
      delivered.push(subjectOf(given))
    },
    { capacity: 3 },
  )
  for (const subject of ['1', '2', '3', '4', '5']) sink(event(subject))
  await new Promise(setImmediate)
  sink(event('6'))
  expect([sink.queued, sink.dropped, delivered]).toEqual([3, 3, []])
  comeBack()
  await vi.waitUntil(() => sink.queued === 0)
  sink(event('7'))
  await vi.waitUntil(() => sink.queued === 0)
  expect(delivered).toEqual(['1', '2', '3', '7'])
  expect([sink.dropped, sink.failed]).toEqual([3, 0])
})

test('a delivery that rejects or throws is counted, and the next is made', async () => {
  let calls = 0
  const sink = createEventSink((given) => {
    calls += 1
    if (subjectOf(given) === 'throws') throw new Error('a bug')
    return subjectOf(given) === 'rejects' ? Promise.reject(new Error('503')) : undefined
  })
  for (const subject of ['throws', 'rejects', 'fine']) sink(event(subject))
  await vi.waitUntil(() => sink.queued === 0)
  expect([calls, sink.failed, sink.dropped]).toEqual([3, 2, 0])
})

test.each([0, -1, 1.5, Number.NaN, 1_000_001])('a capacity of %s: ERR_CONFIG_INVALID', (capacity) => {
  expect(() => createEventSink(() => {}, { capacity })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
})

test('F69: requests go on beside a sink that never answers, listeners that never settle, and one that holds the loop up', async () => {
  const [ca, stranger] = [testCa(), testCa()]
  const identity = ca.issue({ names: ['a.example.com', 'b.example.com'] })
  const server = await until(startTlsServer({ identity }))
  const client = testClient({
    pins: {
      'a.example.com': [identity.pin, ca.issuer.pin],
      'b.example.com': [stranger.issuer.pin, stranger.root.pin],
    },
    anchors: ca.anchorPem,
  })
  const sink = createEventSink(() => new Promise(() => {}), { capacity: 2 })
  client.on('tls.rejected', sink)
  client.on('tls.rejected', () => new Promise(() => {}) as never)
  client.on('revocation.checked', sink)
  client.on('revocation.checked', () => {
    const until = performance.now() + 50
    while (performance.now() < until); // a listener that computes
  })
  const rounds = Array.from({ length: 4 }, async () => {
    const refused = refusalOf(client.fetch(`https://b.example.com:${server.port}/`), 'ERR_TRUST_PIN_MISMATCH')
    const response = await client.fetch(`https://a.example.com:${server.port}/`)
    expect([response.status, await response.text()]).toEqual([200, 'ok'])
    await refused
  })
  await Promise.all(rounds)
  expect(sink.queued).toBe(2)
  expect(sink.dropped).toBeGreaterThanOrEqual(4) // four refusals and at least one connection came
})
