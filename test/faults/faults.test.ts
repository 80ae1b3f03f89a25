import { describe, expect, test } from 'vitest'
import { faultCases } from '../../scripts/faults/cases.ts'
import { type FaultCase, runCase } from '../../scripts/faults/fault-case.ts'
import { references } from '../../scripts/faults/see.ts'
import { isFull } from '../support/tier.ts'

test.each(faultCases.map((one) => [`${one.id}: ${one.fault}: ${one.required.calls.join(', ')}`, one] as const))(
  '%s',
  async (_, one) => {
    expect(await runCase(one)).toMatchObject({ problems: [], left: 0 })
  },
  isFull ? 600_000 : 60_000,
)

test('the faults that are tested elsewhere are tested there', () => {
  expect(references.filter(({ isThere }) => !isThere)).toEqual([])
})

describe('the controls: what does not hold is said', () => {
  const held = faultCases.find(({ id }) => id === 'F33')

  test.each<[string, Partial<FaultCase['required']>, string]>([
    ['another outcome', { calls: ['200 ok'] }, 'calls: expected 200 ok, got ERR_TRUST_PIN_MISMATCH'],
    ['a retry that was not made', { attempts: 2 }, 'attempts: expected 2 to 2, got 1'],
    ['an event that was not expected', { events: [] }, 'events: expected , got tls.rejected ERR_TRUST_PIN_MISMATCH'],
    ['bytes that did not arrive', { applicationBytes: 7 }, 'application bytes: expected 7, got 0'],
    ['another word about the request', { requestSent: 'maybe' }, 'requestSent: expected maybe, got no'],
    ['a call that takes its time', { withinMs: 0 }, 'elapsed: expected at most 0 ms'],
  ])('%s', async (_, required, problem) => {
    if (held === undefined) return expect.fail('no case of that number')
    const { problems } = await runCase({ ...held, required: { ...held.required, ...required } })
    expect(problems).toEqual([expect.stringContaining(problem)])
  })

  test('a promise that nobody looks after, and a connection that stays open', async () => {
    const { problems, left } = await runCase({
      id: 'F63',
      fault: 'a client that leaks',
      required: { calls: ['200 ok'] },
      run: async (world) => {
        const peer = await world.serve()
        await world.call(world.client(), peer)
        const { connect } = await import('node:net')
        const forgotten = connect(peer.port, '127.0.0.1').on('error', () => undefined)
        await new Promise((resolve) => forgotten.once('connect', resolve))
      },
    })
    expect(left).toBeGreaterThan(0)
    expect(problems).toEqual([expect.stringContaining('attempts'), expect.stringContaining('handles left')])
  })
})
