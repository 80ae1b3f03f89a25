import { expect, test } from 'vitest'
import type { AcceptedManifest, AcceptedStatus } from '../../src/manifest/accept.ts'
import { healthOf, type Seen } from '../../src/manifest/health.ts'
import type { Knowledge } from '../../src/manifest/knowledge.ts'
import { COLD, type ManifestState, next } from '../../src/manifest/state.ts'
import type { ManifestView } from '../../src/manifest/view.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'

const at = toUnixMs
const seen: Seen = { failures: 0, lastProbe: 1, lastEarly: 2, rootConfirmedAt: 3, lastAsked: 4 }
const status = { version: 7, payload: { issuedAt: at(1_000), expires: at(5_000) } } as unknown as AcceptedStatus
const manifest = { version: 3, epoch: 2, payload: { expires: at(9_000), staleGrace: 2 } } as unknown as AcceptedManifest
const known = { root: { version: 4 }, status } as unknown as Knowledge
const view = { version: 3, denies: [{}, {}] } as unknown as ManifestView
const nothing = { version: 0, denies: [] } as unknown as ManifestView

test('before anything was accepted every version is 0, and what is not known is absent', () => {
  expect(healthOf(COLD, undefined, seen, nothing, at(1_500))).toStrictEqual({
    state: 'cold',
    manifestVersion: 0,
    manifestEpoch: 0,
    rootVersion: 0,
    statusVersion: 0,
    denies: 0,
  })
})

test.each<[ManifestState['kind'], number]>([
  ['fresh', 4_000],
  ['stale', 6_000],
  ['expired', 8_000],
])('while %s it names what is in force, when it ends, and what the last attempts came to', (kind, now) => {
  const state = next(COLD, { type: 'activated', manifest, status }, at(now))
  const lastError = { code: 'ERR_MANIFEST_FETCH_HTTP', message: 'x', at: at(1_400) } as const
  const instants = { lastSuccessAt: at(1_300), nextPollAt: at(1_600) }
  expect(healthOf(state, known, { ...seen, ...instants, lastError }, view, at(now))).toStrictEqual({
    state: kind,
    manifestVersion: 3,
    manifestEpoch: 2,
    rootVersion: 4,
    statusVersion: 7,
    denies: 2,
    statusAgeMs: now - 1_000,
    expiresAt: 7_000,
    ...instants,
    lastError,
  })
})

test('after the end no poll is to come', () => {
  const health = healthOf(next(COLD, { type: 'closed' }, at(0)), known, { ...seen, nextPollAt: at(1_600) }, view, at(0))
  expect(health).toMatchObject({ state: 'closed', manifestEpoch: 0 })
  expect(health).not.toHaveProperty('nextPollAt')
  expect(health).not.toHaveProperty('expiresAt')
})
