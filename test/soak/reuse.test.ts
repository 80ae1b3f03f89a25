import { expect, test } from 'vitest'
import { reuseViolations, soakReuse } from '../../scripts/soak/reuse.ts'

test('64 callers, pins rotating every 60 ms with the peer’s key among them: no request fails, 99 % reuse their connection', async () => {
  const phases = await soakReuse({ seconds: 5 })
  expect(reuseViolations(phases)).toEqual([])
  expect(phases.map(({ name }) => name)).toEqual(['other pins change', 'the server’s key changes, both pinned'])
  for (const { rotations, requests } of phases) {
    expect(rotations).toBeGreaterThan(2)
    expect(requests).toBeGreaterThan(64)
  }
}, 120_000)

test('the control: one failed request, or a connection for every fiftieth, is a violation', () => {
  const fine = { name: 'a', rotations: 3, requests: 1_000, failures: [], handshakes: 5, reuse: 0.995 }
  expect(reuseViolations([fine])).toEqual([])
  expect(reuseViolations([{ ...fine, failures: ['HTTP 500'] }])).toEqual([expect.stringContaining('HTTP 500')])
  expect(reuseViolations([{ ...fine, handshakes: 20, reuse: 0.98 }])).toEqual([expect.stringContaining('98.00 %')])
  expect(reuseViolations([{ ...fine, rotations: 0 }])).toEqual([expect.stringContaining('no rotation')])
})
