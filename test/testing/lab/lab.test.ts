import { createLab, type LabResult } from 'pinfetch/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const lab = createLab()
const results: LabResult[] = []
const resultOf = (id: string, name: string) =>
  results.find(({ attack, contender }) => attack === id && contender === name)

beforeAll(async () => {
  const report = await lab.run({ contenders: ['pinfetch', 'fetch'], onResult: (result) => results.push(result) })
  expect(JSON.parse(JSON.stringify(report))).toEqual(report)
}, 300_000)
afterAll(() => lab.close())

test('there are as many attacks as numbers, and each was run on both', () => {
  const ids = lab.attacks.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  expect(results.length).toBe(2 * ids.length)
})

describe.each(lab.attacks.map((attack) => [attack.id, attack.title, attack] as const))('%s: %s', (id, _, attack) => {
  test('pinfetch withstands it, before a single octet, and accepts the genuine server', (context) => {
    const result = resultOf(id, 'pinfetch')
    context.skip(result?.missing !== null, result?.reason ?? 'not run')
    expect(result).toMatchObject({
      reason: null,
      control: 'accepted',
      applicationOctets: 0,
      sawClientCertificate: false,
    })
    expect(['refused', 'noticed', 'unharmed']).toContain(result?.outcome)
    if (attack.codes.length > 0) expect(attack.codes).toContain(result?.code)
  })

  test(`${attack.beatsFetch ? 'beats' : 'does not beat'} a bare fetch, which accepts the genuine server`, (context) => {
    const result = resultOf(id, 'fetch')
    context.skip(result?.missing !== null, result?.reason ?? 'not run')
    expect({ outcome: result?.outcome === 'lost', reason: result?.reason }).toMatchObject({
      outcome: attack.beatsFetch,
    })
    expect(result?.outcome).not.toBe('not-run')
  })
})
