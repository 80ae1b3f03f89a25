import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { certSpotter, crtSh, type IssuanceEvent, type IssuanceSource, toFile } from 'pinfetch/monitor'
import { describe, expect, onTestFinished, test } from 'vitest'
import { memoryStore } from '../../../src/stores/memory.ts'
import { check, eventually, folder, issuanceStage, startWatch } from './stage.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describe('watchIssuances', () => {
  test('tells of what is issued while it watches, and of each once', async () => {
    const { server, own, rogue, known } = await issuanceStage()
    server.issue(own)
    const bad = rogue()
    const { of, rested, nextPass } = startWatch({ ...known, sources: [certSpotter({ baseUrl: server.url })] })
    await rested(1)
    expect(of('ct.unexpected')).toEqual([])
    server.issue(bad)
    for (let pass = 2; pass <= 4; pass += 1) {
      await nextPass(1.1 * HOUR)
      await rested(pass)
    }
    expect(of('ct.unexpected')).toMatchObject([{ spki: bad.pin }])
    expect(of('ct.watchFailed')).toEqual([])
  })

  test('a source or a store that throws what is not ours ends no watch: ERR_MONITOR_SOURCE_UNREACHABLE', async () => {
    const { server, rogue, known } = await issuanceStage()
    server.issue(rogue())
    const foreign: IssuanceSource = {
      name: 'own',
      place: 'own',
      // biome-ignore lint/correctness/useYield: it fails before it has anything
      async *read() {
        throw new RangeError('Bearer canary-5b2e')
      },
    }
    const sources = [foreign, certSpotter({ baseUrl: server.url })]
    const { of, rested, nextPass } = startWatch({ ...known, sources })
    await rested(2)
    expect(of('ct.unexpected')).toHaveLength(1)
    const failure = {
      source: 'own',
      code: 'ERR_MONITOR_SOURCE_UNREACHABLE',
      message: expect.stringContaining('RangeError'),
    }
    expect(of('ct.watchFailed')).toMatchObject([failure])
    expect(JSON.stringify(of('ct.watchFailed'))).not.toContain('canary')
    await nextPass(2 * MINUTE)
    await eventually(() => expect(of('ct.watchFailed')).toHaveLength(2)) // it is asked again
    const broken = { ...memoryStore(), list: async () => Promise.reject(new TypeError('no such table')) }
    const other = startWatch({ ...known, cursor: broken, sources: [certSpotter({ baseUrl: server.url })] })
    await eventually(() => expect(other.of('ct.watchFailed')).toHaveLength(1))
    expect(other.of('ct.watchFailed')).toMatchObject([
      { ...failure, source: 'certspotter', message: expect.stringContaining('TypeError') },
    ])
  })

  test('a watch is heard as a client is: by an outlet, and on the channels of the process', async () => {
    const { server, rogue, known } = await issuanceStage()
    const bad = rogue()
    server.issue(bad)
    const published: unknown[] = []
    const subscriber = (event: unknown): void => void published.push(event)
    subscribe('pinfetch:incident:issuance', subscriber)
    onTestFinished(() => void unsubscribe('pinfetch:incident:issuance', subscriber))
    const { watch, rested } = startWatch({ ...known, sources: [certSpotter({ baseUrl: server.url })] })
    const place = await folder()
    const outlet = toFile(watch, { path: place('events.jsonl') })
    await rested(1)
    await outlet.close()
    expect(published).toMatchObject([{ type: 'ct.unexpected', spki: bad.pin }])
    expect(await readFile(place('events.jsonl'), 'utf8')).toContain(bad.pin)
  })

  test('asks about once an interval, not in step', async () => {
    const { server, known } = await issuanceStage()
    const sources = [certSpotter({ baseUrl: server.url })]
    const { rested, nextPass } = startWatch({ ...known, sources, intervalMs: 10 * MINUTE })
    const pauses: number[] = []
    for (let pass = 1; pass <= 6; pass += 1) {
      await rested(pass)
      pauses.push(await nextPass(11.1 * MINUTE))
    }
    for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(9 * MINUTE)
    expect(new Set(pauses).size).toBeGreaterThan(1)
  })

  test('leaves a source alone for as long as its 429 asks (case 619)', async () => {
    const { server, rogue, known } = await issuanceStage()
    server.issue(rogue())
    server.misbehave({ status: 429, headers: { 'retry-after': '7200' } })
    const { runtime, of, rested, nextPass } = startWatch({ ...known, sources: [certSpotter({ baseUrl: server.url })] })
    await rested(1)
    const [failed] = of('ct.watchFailed')
    expect(failed).toMatchObject({ source: 'certspotter', code: 'ERR_MONITOR_SOURCE_LIMITED' })
    expect(failed?.retryAfterMs).toBeGreaterThanOrEqual(2 * HOUR)
    await runtime.advance(2 * HOUR - 1)
    await rested(1)
    expect(server.requests).toHaveLength(1)
    await nextPass(HOUR)
    await rested(2)
    expect(of('ct.unexpected')).toHaveLength(1)
  })

  test('a year is more than a 429 can ask for', async () => {
    const { server, known } = await issuanceStage()
    server.misbehave({ status: 429, headers: { 'retry-after': '31536000' } })
    const { of } = startWatch({ ...known, sources: [certSpotter({ baseUrl: server.url })] })
    await eventually(() => expect(of('ct.watchFailed')).toHaveLength(1))
    expect(of('ct.watchFailed')[0]?.retryAfterMs).toBeLessThanOrEqual(36 * HOUR)
  })

  test('a source that fails is asked ever less often, and as usual once it answers', async () => {
    const { server, known } = await issuanceStage()
    server.misbehave({ status: 500, times: 4 })
    const { of, rested, nextPass } = startWatch({ ...known, sources: [certSpotter({ baseUrl: server.url })] })
    for (let failures = 1; failures <= 4; failures += 1) {
      await rested(failures)
      expect(of('ct.watchFailed')).toHaveLength(failures)
      await nextPass(15 * MINUTE)
    }
    const pauses = of('ct.watchFailed').map(({ retryAfterMs }) => retryAfterMs)
    for (const [index, pause] of pauses.entries()) {
      expect(pause).toBeGreaterThanOrEqual(MINUTE * 2 ** index)
      expect(pause).toBeLessThanOrEqual(1.5 * MINUTE * 2 ** index)
    }
    await rested(5)
    expect(await nextPass(1.2 * HOUR)).toBeGreaterThanOrEqual(54 * MINUTE)
    expect(of('ct.watchFailed')).toHaveLength(4)
  })

  test('a source that fails does not slow the other down', async () => {
    const { server, rogue, known } = await issuanceStage()
    server.issue(rogue())
    server.misbehave({ path: '/v1/issuances', status: 503, times: 100 })
    const sources = [certSpotter({ baseUrl: server.url }), crtSh({ baseUrl: server.url })]
    const { of } = startWatch({ ...known, sources })
    await eventually(() => expect(of('ct.unexpected')).toMatchObject([{ source: 'crtsh' }]))
    await eventually(() => expect(of('ct.watchFailed')).toMatchObject([{ source: 'certspotter' }]))
  })

  test('a source that hangs is given up after a minute', async () => {
    const { known } = await issuanceStage()
    const hangs: typeof fetch = () => new Promise(() => {})
    const { runtime, of } = startWatch({ ...known, fetch: hangs, sources: [certSpotter()] })
    await eventually(() => expect(runtime.pendingTimers).toBe(1))
    await runtime.advance(MINUTE)
    await eventually(() => expect(of('ct.watchFailed')).toMatchObject([{ code: 'ERR_MONITOR_SOURCE_UNREACHABLE' }]))
  })

  test('close ends what is under way, and leaves no timer', async () => {
    const { known } = await issuanceStage()
    const hangs: typeof fetch = () => new Promise(() => {})
    const { runtime, watch, events } = startWatch({ ...known, fetch: hangs, sources: [certSpotter()] })
    await eventually(() => expect(runtime.pendingTimers).toBe(1))
    await watch.close()
    expect(runtime.pendingTimers).toBe(0)
    expect(events).toEqual([])
  })

  test('an alert that the listener does not take is told again', async () => {
    const { server, rogue, known } = await issuanceStage()
    server.issue(rogue())
    const taken: IssuanceEvent[] = []
    let attempts = 0
    const onEvent = (event: IssuanceEvent) => {
      if (event.type === 'ct.unexpected') attempts += 1
      if (attempts === 1 && event.type === 'ct.unexpected') throw new Error('the queue is full')
      taken.push(event)
    }
    const { of, rested, nextPass } = startWatch({ ...known, onEvent, sources: [certSpotter({ baseUrl: server.url })] })
    await eventually(() => expect(of('ct.watchFailed')).toMatchObject([{ code: 'ERR_MONITOR_DELIVERY_FAILED' }]))
    expect(of('ct.unexpected')).toEqual([])
    await rested(1)
    await nextPass(2 * MINUTE)
    await eventually(() => expect(taken.map(({ type }) => type)).toEqual(['ct.watchFailed', 'ct.unexpected']))
    await eventually(() => expect(of('ct.unexpected')).toHaveLength(1))
  })
})

describe('the cursor (case 617)', () => {
  test.each(['file', 'store'])('in a %s: the next process goes on where the last one ended', async (kind) => {
    const { server, rogue, known } = await issuanceStage()
    const place = await folder()
    const cursor = kind === 'file' ? place('ct.json') : memoryStore()
    const options = () => ({
      ...known,
      cursor,
      sources: [certSpotter({ baseUrl: server.url }), crtSh({ baseUrl: server.url })],
    })
    const first = rogue()
    server.issue(first)
    expect((await check(options())).unexpected).toMatchObject([{ spki: first.pin }])
    expect((await check(options())).unexpected).toEqual([])
    const second = rogue()
    server.issue(second)
    const before = server.requests.length
    expect((await check(options())).unexpected).toMatchObject([{ spki: second.pin }])
    const paths = server.requests.slice(before).map(({ path }) => path)
    expect(paths.filter((path) => path.includes('after=1'))).toHaveLength(1)
    expect(paths.filter((path) => path.includes('d=2'))).toEqual([]) // downloaded before
  })

  test('without one, everything is told again', async () => {
    const { server, rogue, known } = await issuanceStage()
    server.issue(rogue())
    for (let run = 0; run < 2; run += 1) {
      expect((await check({ ...known, sources: [certSpotter({ baseUrl: server.url })] })).unexpected).toHaveLength(1)
    }
  })

  test('a crash between the delivery and the write tells again, and skips nothing', async () => {
    const { server, rogue, known } = await issuanceStage({ pageSize: 1 })
    const held = memoryStore()
    let writes = 0
    const crashing = {
      ...held,
      put: async (name: string, bytes: Uint8Array) => {
        writes += 1
        if (writes >= 2) throw Object.assign(new Error('killed'), { code: 'EKILLED' })
        return held.put(name, bytes)
      },
    }
    const [first, second, third] = [rogue(), rogue(), rogue()]
    for (const one of [first, second, third]) server.issue(one)
    const told: string[] = []
    const options = (cursor: typeof held) => ({
      ...known,
      cursor,
      sources: [certSpotter({ baseUrl: server.url })],
      onEvent: (event: IssuanceEvent) => void (event.type === 'ct.unexpected' && told.push(event.spki)),
    })
    await expect(check(options(crashing))).rejects.toThrow('killed')
    expect(told).toEqual([first.pin, second.pin])
    await check(options(held))
    expect(told).toEqual([first.pin, second.pin, second.pin, third.pin])
  })

  test('what is delivered, and not before, moves it', async () => {
    const { server, rogue, known } = await issuanceStage()
    const place = await folder()
    const cursor = place('ct.json')
    server.issue(rogue())
    const refuses = { ...known, cursor, onEvent: () => Promise.reject(new Error('no')) }
    const sources = () => [certSpotter({ baseUrl: server.url })]
    const failed = await check({ ...refuses, sources: sources() }).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(Error) // `check` counts the event, the report does not
    expect((await check({ ...known, cursor, sources: sources() })).unexpected).toHaveLength(1)
  })

  test('a file appears whole, for this user alone, and nothing is left beside it', async () => {
    const { server, rogue, known } = await issuanceStage()
    const place = await folder()
    server.issue(rogue())
    await check({ ...known, cursor: place('ct.json'), sources: [certSpotter({ baseUrl: server.url })] })
    expect(await readdir(place(''))).toEqual(['ct.json'])
    const text = await readFile(place('ct.json'), 'utf8')
    expect(JSON.parse(text)).toMatchObject({ format: 'pinfetch/ct-cursor/v1' })
  })

  test.each([
    ['broken', '{"format":"pinfetch/ct-cursor/v1","positions":'],
    ['of something else', '{"hosts":[]}'],
    ['with a position that is none', '{"format":"pinfetch/ct-cursor/v1","positions":{"PLACE":[7]},"told":[]}'],
  ])('one that is %s is ERR_MONITOR_CURSOR_INVALID, and nothing is asked', async (_what, text) => {
    const { server, rogue, known } = await issuanceStage()
    server.issue(rogue())
    const source = certSpotter({ baseUrl: server.url })
    const place = await folder()
    await writeFile(place('ct.json'), text.replace('PLACE', source.place))
    const outcome = await check({ ...known, cursor: place('ct.json'), sources: [source] }).then(
      ({ failures }) => failures[0]?.code,
      (error: { code?: string }) => error.code,
    )
    expect(outcome).toBe('ERR_MONITOR_CURSOR_INVALID')
    expect(server.requests).toEqual([])
  })

  test('one that cannot be written is a failure, and what was found is told', async () => {
    const { server, rogue, known } = await issuanceStage()
    const place = await folder()
    server.issue(rogue())
    const cursor = place('missing/ct.json')
    const { unexpected, failures } = await check({ ...known, cursor, sources: [certSpotter({ baseUrl: server.url })] })
    expect(unexpected).toHaveLength(1)
    expect(failures).toMatchObject([{ code: 'ERR_STORE_WRITE' }])
  })
})
