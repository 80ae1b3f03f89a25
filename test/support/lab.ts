import { createLab, type LabResult } from 'pinfetch/testing'
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest'

/** Runs these attacks on pinfetch and on a bare fetch, and holds each of them against what is written down about it. */
export function testAttacks(isMine: (attack: { readonly group: string }) => boolean): void {
  const lab = createLab()
  const attacks = lab.attacks.filter(isMine)
  const results: LabResult[] = []
  const resultOf = (id: string, name: string) =>
    results.find(({ attack, contender }) => attack === id && contender === name)

  beforeAll(async () => {
    const report = await lab.run({
      attacks: attacks.map(({ id }) => id),
      contenders: ['pinfetch', 'fetch'],
      onResult: (result) => results.push(result),
    })
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
  }, 300_000)
  afterAll(() => lab.close())

  test('there are as many attacks as numbers, and each was run on both', () => {
    const ids = attacks.map(({ id }) => id)
    expect(ids).not.toEqual([])
    expect(new Set(ids).size).toBe(ids.length)
    expect(results.length).toBe(2 * ids.length)
  })

  describe.each(attacks.map((attack) => [attack.id, attack.title, attack] as const))('%s: %s', (id, _, attack) => {
    test('pinfetch withstands it, before a single octet, and accepts the genuine server', (context) => {
      const result = resultOf(id, 'pinfetch')
      skipWithoutProgram(context, result)
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
      skipWithoutProgram(context, result)
      expect({ outcome: result?.outcome === 'lost', reason: result?.reason }).toMatchObject({
        outcome: attack.beatsFetch,
      })
      expect(result?.outcome).not.toBe('not-run')
    })
  })
}

/** Where a skip counts as a failure, a program that is not installed does. */
function skipWithoutProgram(context: TestContext, result: LabResult | undefined): void {
  if (process.env['CI'] === 'true') expect(result?.missing, result?.reason ?? '').toBeNull()
  context.skip(typeof result?.missing === 'string', result?.reason ?? '')
}
