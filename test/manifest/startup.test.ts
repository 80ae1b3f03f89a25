import { expect, test } from 'vitest'
import type { ManifestError } from '../../src/errors/errors.ts'
import { refusal } from '../../src/manifest/refusal.ts'
import { createStartup } from '../../src/manifest/startup.ts'
import { createTestRuntime } from '../../src/testing/runtime.ts'

const offline = refusal('ERR_MANIFEST_FETCH_NETWORK', { document: 'status' }, 'could not be fetched')
const closed = refusal('ERR_MANIFEST_CLOSED', { document: 'status' }, 'the updater was closed')

function begin() {
  const runtime = createTestRuntime()
  return { runtime, startup: createStartup(runtime, 10_000) }
}

/** What a caller of `ready` learns, as soon as it does. */
const outcomeOf = (ready: Promise<void>) => {
  const outcome: { known?: unknown } = {}
  ready.then(
    () => Object.assign(outcome, { known: 'ready' }),
    (error: unknown) => Object.assign(outcome, { known: error }),
  )
  return outcome
}

test('who waits is told the moment a manifest is in force, and who comes later need not wait', async () => {
  const { runtime, startup } = begin()
  const waiting = outcomeOf(startup.ready())
  await runtime.advance(9_999)
  expect(waiting).toEqual({})
  startup.succeed()
  await expect(startup.ready()).resolves.toBeUndefined()
  expect(waiting).toEqual({ known: 'ready' })
  expect(runtime.pendingTimers).toBe(0)
})

test.each<[string, ManifestError | undefined, string]>([
  ['that no answer came yet', undefined, 'no answer yet'],
  ['what the last attempt failed with', offline, 'status: could not be fetched'],
])('past startupMs who waits, and who comes later, is told %s', async (_, failure, why) => {
  const { runtime, startup } = begin()
  const waiting = outcomeOf(startup.ready())
  if (failure !== undefined) startup.attempted(failure)
  await runtime.advance(9_999)
  expect(waiting).toEqual({})
  await runtime.advance(1)
  const refused = {
    code: 'ERR_TRUST_NO_TRUSTED_MANIFEST',
    message: `no verified manifest is in force, 10000 ms after the start: ${why}`,
    ...(failure === undefined ? {} : { cause: failure }),
  }
  expect(waiting.known).toMatchObject(refused)
  expect(Object.hasOwn(waiting.known as object, 'cause')).toBe(failure !== undefined)
  await expect(startup.ready()).rejects.toMatchObject(refused)
})

test('an attempt that succeeds without a manifest in force takes back why the last one failed', async () => {
  const { runtime, startup } = begin()
  startup.attempted(offline)
  startup.attempted()
  await runtime.advance(10_000)
  await expect(startup.ready()).rejects.toMatchObject({ message: expect.stringContaining('no answer yet') })
})

test('a manifest that comes late ends the refusals', async () => {
  const { runtime, startup } = begin()
  await runtime.advance(10_000)
  startup.succeed()
  await startup.ready()
})

test('once the manifest in force is over, who asks is refused at once', async () => {
  const { startup } = begin()
  startup.succeed()
  startup.attempted(offline)
  startup.lapse()
  await expect(startup.ready()).rejects.toMatchObject({ code: 'ERR_TRUST_NO_TRUSTED_MANIFEST', cause: offline })
})

test('a start at which nothing was in force yet goes on when a manifest is found to be over', async () => {
  const { runtime, startup } = begin()
  const waiting = outcomeOf(startup.ready())
  startup.lapse()
  const later = outcomeOf(startup.ready())
  await runtime.advance(9_999)
  expect([waiting, later]).toEqual([{}, {}])
  startup.succeed()
  await startup.ready()
  expect([waiting, later]).toEqual([{ known: 'ready' }, { known: 'ready' }])
})

test.each([
  ['a manifest in force', (startup: ReturnType<typeof createStartup>) => startup.succeed()],
  ['an attempt that failed', (startup: ReturnType<typeof createStartup>) => startup.attempted(offline)],
  ['the end', (startup: ReturnType<typeof createStartup>) => startup.end(closed)],
])('the first attempt is over with %s, and before it is not', async (_, settle) => {
  const { runtime, startup } = begin()
  const first = outcomeOf(startup.firstAttempt)
  await runtime.advance(20_000)
  expect(first).toEqual({})
  settle(startup)
  await startup.firstAttempt
  expect(first).toEqual({ known: 'ready' })
})

test('the end refuses everyone with its first reason, whatever was in force', async () => {
  const { runtime, startup } = begin()
  const waiting = outcomeOf(startup.ready())
  startup.end(offline)
  startup.end(closed)
  await expect(startup.ready()).rejects.toBe(offline)
  expect(waiting).toEqual({ known: offline })
  expect(runtime.pendingTimers).toBe(0)
  startup.succeed()
  await expect(startup.ready()).rejects.toBe(offline)
})
