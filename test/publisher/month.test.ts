import { testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { PROFILES, type ProfileName } from '../../src/cli/profile.ts'
import { resolveOptions } from '../../src/client/options.ts'
import { createPolicies } from '../../src/client/policies.ts'
import type { PinText } from '../../src/encoding/pin.ts'
import { PinfetchError } from '../../src/errors/errors.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { createEvaluator } from '../../src/trust/evaluate.ts'
import { createWorld, DAY, HOUR } from '../manifest/world.ts'
import { originOf } from '../support/policy.ts'

/*
 * Thirty days of an operator who makes mistakes: the real publisher, the real updater, the client's own policy and verdict,
 * and a clock that is moved. Somebody asks every ten minutes.
 */

const STEP = 10 * 60_000
const POLL = { interval: 1_800, spread: 0.25 }
const POLL_MS = POLL.interval * 1.25 * 1_000
const origin = originOf('https://api.example.com/')

test('team: missed heartbeats, a CDN outage, a partner’s rotations and a root that expired cost no request', async () => {
  const { run, world, partner, heartbeat, publish } = await startMonth('team', { rootTtlMs: 20 * DAY })
  const skipped = [
    [3 * DAY, 3 * DAY + 20 * HOUR], // five runs: somebody’s token expired
    [8 * DAY, 10 * DAY + 12 * HOUR], // a long weekend
  ]
  const refused = await run(30 * DAY, {
    every: 4 * HOUR,
    beat: (at) => (skipped.some(([from = 0, to = 0]) => at >= from && at < to) ? undefined : heartbeat()),
    at: new Map<number, () => unknown>([
      [12 * DAY, () => world.answers.set('status.json', new Error('the CDN is down'))],
      [14 * DAY, () => world.answers.delete('status.json')],
      [15 * DAY, () => partner.renew('same issuer')], // unannounced: the issuer is pinned
      [17 * DAY, () => publish([partner.issuers.other, partner.issuers.first])], // announced by the partner
      [17 * DAY + 5 * POLL_MS, () => partner.renew('other issuer')],
      [18 * DAY, () => publish([partner.issuers.other, partner.spare])],
      [21 * DAY + 6 * HOUR, () => world.repository.rotateRoot({ now: world.now() })], // 30 hours too late
    ]),
  })
  expect(refused).toEqual([])
  expect(world.eventsOf('manifest.stale').length).toBeGreaterThan(1) // it was near, and was told
}, 120_000)

test('solo: away for fifteen days, requests are refused for the minutes that publish had stated, and no longer', async () => {
  const { run, world, heartbeat, stated } = await startMonth('solo')
  const start = world.now()
  const [left, back] = [5 * DAY, 20 * DAY]
  const refused = await run(30 * DAY, {
    every: DAY,
    beat: (at) => (at > left && at < back ? undefined : heartbeat()),
  })
  const refuseAt = start + left + stated.ttlMs + stated.graceMs // what the last publication before said
  expect(refused.length).toBeGreaterThan(0)
  expect(Math.min(...refused)).toBeGreaterThanOrEqual(refuseAt)
  expect(Math.max(...refused)).toBeLessThanOrEqual(start + back + MAX_RETRY_MS)
  const minutes = (refused.length * STEP) / 60_000
  expect(minutes).toBeGreaterThanOrEqual((start + back - refuseAt - STEP) / 60_000)
}, 120_000)

test('solo with a heartbeat a day and a week of illness: no request is refused', async () => {
  const { run, heartbeat } = await startMonth('solo')
  const refused = await run(18 * DAY, {
    every: DAY,
    beat: (at) => (at > 9 * DAY && at < 17 * DAY ? undefined : heartbeat()),
  })
  expect(refused).toEqual([])
}, 120_000)

async function startMonth(name: ProfileName, { rootTtlMs }: { readonly rootTtlMs?: number } = {}) {
  const { statusTtlMs, manifestTtlMs, staleGrace } = PROFILES[name]
  const world = await createWorld(rootTtlMs === undefined ? {} : { rootTtlMs })
  const [first, other] = ['First', 'Other'].map((ca) => testCa({ name: ca, now: world.now() })) as [Ca, Ca]
  const issue = (ca: Ca) =>
    ca.issue({ names: [origin.host], notBefore: world.now() - DAY, notAfter: world.now() + 90 * DAY })
  let shown = issue(first)
  const partner = {
    issuers: { first: first.issuer.pin, other: other.issuer.pin },
    spare: testCa().issue().pin,
    renew: (to: 'same issuer' | 'other issuer') => {
      shown = issue(to === 'same issuer' ? first : other)
    },
  }
  const heartbeat = () => world.repository.publishStatus({ now: world.now(), ttlMs: statusTtlMs, poll: POLL })
  const publish = async (pins: readonly PinText[]): Promise<void> => {
    const entry = {
      host: origin.host,
      mode: 'enforce',
      keyControl: 'partner',
      pins: pins.map((spki) => ({ spki })),
    } as const
    await world.repository.publishManifest([entry], {
      now: world.now(),
      ttlMs: manifestTtlMs,
      staleGrace,
      status: false,
    })
    await heartbeat()
  }
  await publish([shown.pin, partner.issuers.first])
  const updater = world.start()
  await world.drive(updater.ready())

  const options = resolveOptions({
    manifest: { url: '.', root: world.repository.anchor, memoryOnly: true },
    runtime: world.runtime,
  })
  const anchors = createAnchors([first.anchorPem, other.anchorPem])
  const policies = createPolicies({ options, view: updater.current, emit: () => {}, anchorsFor: () => anchors })
  const evaluate = createEvaluator()
  const isAnswered = (): boolean => {
    try {
      const policy = policies.of(origin)
      const identity = { kind: 'dns', name: origin.host } as const
      return evaluate({ presented: shown.chain, identity, policy, now: updater.time() }).kind === 'trusted'
    } catch (error) {
      if (error instanceof PinfetchError) return false
      throw error
    }
  }

  /** @returns When a request was refused. */
  const run = async (ms: number, plan: Plan): Promise<readonly number[]> => {
    const start = world.now()
    const refused: number[] = []
    let beaten = 0
    const due = [...(plan.at ?? [])].sort(([a], [b]) => a - b)
    for (let at = 0; at < ms; at += STEP) {
      for (let [next] = due; next !== undefined && next[0] <= at; [next] = due) {
        due.shift()
        await next[1]()
      }
      if (at >= beaten) {
        beaten += plan.every
        await plan.beat(at)
      }
      if (!isAnswered()) refused.push(start + at)
      await world.pass(STEP)
    }
    await updater.close()
    return refused
  }
  return { world, partner, heartbeat, publish, run, stated: { ttlMs: statusTtlMs, graceMs: staleGrace * 1_000 } }
}

interface Plan {
  readonly every: number
  readonly beat: (at: number) => unknown
  readonly at?: ReadonlyMap<number, () => unknown>
}

type Ca = ReturnType<typeof testCa>
const MAX_RETRY_MS = Math.max(POLL_MS, 15 * 60_000) + STEP // of a client whose polls failed, or that just polled
