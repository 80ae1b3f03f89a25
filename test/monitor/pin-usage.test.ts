import { describe, expect, test } from 'vitest'
import type { HandshakeEvent } from '../../src/events/handshake.ts'
import { createPinUsage } from '../../src/monitor/pin-usage.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { rememberJudgement } from '../../src/trust/judgement.ts'
import type { Pin } from '../../src/trust/policy.ts'
import { originOf, policyFor } from '../support/policy.ts'
import { DAY_MS, lasting, NOW, shown } from './handshakes.ts'

const first = lasting(90)
const backup = lasting(90)
const third = lasting(90)

/** A handshake of `api.example.com` under a policy with these pins. */
function judged(pins: readonly Pin[], given: Partial<HandshakeEvent> = {}): HandshakeEvent {
  const generation = JSON.stringify(pins)
  const event = shown(first, {
    pins: { considered: pins.map(({ spki }) => spki), matched: [first.pin] },
    policy: { generation, source: 'code', mode: 'enforce', manifestVersion: 0 },
    ...given,
  })
  const policy = policyFor(originOf('https://api.example.com/'), pins, { generation })
  const identity = { kind: 'dns', name: 'api.example.com' } as const
  rememberJudgement(event, { input: { presented: event.presented, identity, policy, now: event.at } })
  return event
}

const PINS: readonly Pin[] = [
  { spki: first.pin, notAfter: toUnixMs(NOW + 30 * DAY_MS) },
  { spki: backup.pin, require: 'endEntity' },
]

describe('which pins are in use', () => {
  test('is known of all pins of a host: the last match, when it ends, where it has to stand; a backup that was never seen', () => {
    const usage = createPinUsage()
    expect(usage.all()).toEqual([])
    usage.note(judged(PINS))
    usage.note(judged(PINS, { at: toUnixMs(NOW + 5) }))
    expect(usage.all()).toEqual([
      { host: 'api.example.com', spki: first.pin, lastMatchedAt: NOW + 5, notAfter: NOW + 30 * DAY_MS },
      { host: 'api.example.com', spki: backup.pin, role: 'endEntity' },
    ])
  })

  test('the server moves to its backup key, and both were seen', () => {
    const usage = createPinUsage()
    usage.note(judged(PINS))
    const pins = { considered: [first.pin, backup.pin], matched: [backup.pin] }
    usage.note(judged(PINS, { pins, at: toUnixMs(NOW + 9) }))
    expect(usage.all().map(({ lastMatchedAt }) => lastMatchedAt)).toEqual([NOW, NOW + 9])
  })

  test('a refused peer, a failed attempt and the end of a connection are no use of a pin', () => {
    const usage = createPinUsage()
    usage.note(judged(PINS, { outcome: 'refused', code: 'ERR_TRUST_NAME_MISMATCH' }))
    expect(usage.all().map(({ lastMatchedAt }) => lastMatchedAt)).toEqual([undefined, undefined])
    usage.note(judged(PINS, { outcome: 'failed', code: 'ERR_TRANSPORT_CLOSED' }))
    usage.note(judged([{ spki: third.pin }], { outcome: 'refused', cut: true }))
    expect(usage.all().map(({ spki, lastMatchedAt }) => [spki, lastMatchedAt])).toEqual([
      [first.pin, undefined],
      [backup.pin, undefined],
    ])
    usage.note(judged(PINS, { outcome: 'reported' })) // the control
    expect(usage.all()[0]?.lastMatchedAt).toBe(NOW)
  })

  test('another policy brings its own pins; what stays keeps its date, what went is gone', () => {
    const usage = createPinUsage()
    usage.note(judged(PINS))
    usage.note(judged([{ spki: backup.pin }, { spki: first.pin }], { pins: { considered: [], matched: [] } }))
    expect(usage.all()).toEqual([
      { host: 'api.example.com', spki: backup.pin },
      { host: 'api.example.com', spki: first.pin, lastMatchedAt: NOW },
    ])
    usage.note(judged([{ spki: backup.pin }], { pins: { considered: [], matched: [] } }))
    usage.note(judged(PINS, { pins: { considered: [], matched: [] } }))
    expect(usage.all().map(({ lastMatchedAt }) => lastMatchedAt)).toEqual([undefined, undefined])
  })

  test('an attempt that ended before there was something to judge says nothing of pins', () => {
    const usage = createPinUsage()
    usage.note(shown(first, { outcome: 'failed' }))
    expect(usage.all()).toEqual([])
  })

  test('whatever hosts are connected to, no more than 1,000 pins of 500 hosts are kept, the newest', () => {
    const usage = createPinUsage()
    for (let at = 0; at < 700; at += 1)
      usage.note(judged([...PINS, { spki: third.pin }], { host: `h${at}.example.com` }))
    const all = usage.all()
    expect(all).toHaveLength(1_000)
    expect(all.at(-1)?.host).toBe('h699.example.com')
    expect(all.some(({ host }) => host === 'h0.example.com')).toBe(false)
  })
})
