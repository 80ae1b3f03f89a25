import { describe, expect, test } from 'vitest'
import { type Circuit, createCircuit } from '../../src/limits/circuit.ts'

const rules = { failureRatio: 0.5, minRequests: 4, windowMs: 10_000, openMs: 5_000, maxOpenMs: 12_000 }

function ended(circuit: Circuit, verdict: 'success' | 'failure' | 'inconclusive', now: number) {
  const admission = circuit.enter(now)
  if (typeof admission !== 'string') return admission
  circuit.leave(admission, verdict, now)
  return circuit.state().kind
}

function opened(at = 0): Circuit {
  const circuit = createCircuit(rules)
  for (let count = 0; count < 4; count += 1) ended(circuit, 'failure', at)
  return circuit
}

describe('a closed circuit', () => {
  test('opens with the share of failures, once there are requests enough', () => {
    const circuit = createCircuit(rules)
    const verdicts = ['failure', 'failure', 'success', 'success'] as const
    expect(verdicts.map((verdict) => ended(circuit, verdict, 0))).toEqual(['closed', 'closed', 'closed', 'closed'])
    expect(ended(circuit, 'failure', 0)).toBe('open')
    expect([ended(opened(), 'success', 0)]).toEqual([{ refusedForMs: 5_000 }])
  })

  test('forgets what is out of the window', () => {
    const circuit = createCircuit(rules)
    for (const at of [0, 0, 0]) ended(circuit, 'failure', at)
    expect(ended(circuit, 'failure', 10_001)).toBe('closed')
    for (const at of [10_001, 10_001]) ended(circuit, 'failure', at)
    expect(ended(circuit, 'failure', 10_001)).toBe('open')
  })

  test('stays closed for what says nothing of the origin', () => {
    const circuit = createCircuit(rules)
    for (let count = 0; count < 100; count += 1) expect(ended(circuit, 'inconclusive', 0)).toBe('closed')
    for (const verdict of ['success', 'success', 'success', 'success', 'success'] as const) ended(circuit, verdict, 0)
    for (let count = 0; count < 4; count += 1) expect(ended(circuit, 'failure', 0)).toBe('closed')
    expect(ended(circuit, 'failure', 0)).toBe('open')
  })
})

describe('an open circuit', () => {
  test('refuses, and says for how long', () => {
    const circuit = opened()
    expect([circuit.enter(0), circuit.look(4_999), circuit.enter(4_999.5)]).toEqual([
      { refusedForMs: 5_000 },
      { refusedForMs: 1 },
      { refusedForMs: 1 },
    ])
  })

  test('lets one through after that, and no other while it is on its way', () => {
    const circuit = opened()
    expect([circuit.look(5_000), circuit.enter(5_000), circuit.enter(5_000), circuit.enter(9_000)]).toEqual([
      'probe',
      'probe',
      { refusedForMs: 5_000 },
      { refusedForMs: 5_000 },
    ])
  })

  test('tries another where nobody was told what came of the first', () => {
    const circuit = opened()
    circuit.enter(5_000)
    expect([circuit.enter(16_999), circuit.enter(17_000), circuit.enter(17_000)]).toEqual([
      { refusedForMs: 1 },
      'probe',
      { refusedForMs: 5_000 },
    ])
    expect(circuit.leave('probe', 'success', 17_001)).toEqual({ kind: 'closed' })
    expect(circuit.leave('probe', 'inconclusive', 17_002)).toBeUndefined() // the first, after all
    expect(circuit.enter(17_003)).toBe('free')
  })

  test.each([
    ['closes with its success', 'success', ['free', 'free']],
    ['stays open for twice as long with its failure', 'failure', [{ refusedForMs: 10_000 }, { refusedForMs: 5_000 }]],
    ['lets the next one through where it says nothing', 'inconclusive', ['probe', { refusedForMs: 5_000 }]],
  ] as const)('%s', (_, verdict, then) => {
    const circuit = opened()
    circuit.enter(5_000)
    circuit.leave('probe', verdict, 5_000)
    expect([circuit.enter(5_000), circuit.enter(10_000)]).toEqual(then)
  })

  test('never stays open for longer than it may', () => {
    const circuit = opened()
    let now = 5_000
    for (const waited of [10_000, 12_000, 12_000]) {
      expect(circuit.enter(now)).toBe('probe')
      circuit.leave('probe', 'failure', now)
      expect(circuit.enter(now)).toEqual({ refusedForMs: waited })
      now += waited
    }
  })

  test('learns nothing from a request that began before', () => {
    const circuit = createCircuit(rules)
    for (let count = 0; count < 5; count += 1) circuit.enter(0)
    for (let count = 0; count < 4; count += 1) circuit.leave('free', 'failure', 0)
    expect(circuit.leave('free', 'success', 1)).toBeUndefined()
    expect(circuit.enter(1)).toEqual({ refusedForMs: 4_999 })
    circuit.enter(5_000)
    expect(circuit.leave('free', 'success', 5_000)).toBeUndefined()
    expect(circuit.state().kind).toBe('half-open')
  })

  test('starts to count anew once it is closed', () => {
    const circuit = opened()
    circuit.enter(5_000)
    circuit.leave('probe', 'success', 5_000)
    for (let count = 0; count < 3; count += 1) expect(ended(circuit, 'failure', 5_000)).toBe('closed')
    expect(ended(circuit, 'failure', 5_000)).toBe('open')
  })
})
