/** What the lab's attacks with certificates leave behind: evidence that says the same again, to whoever has nothing but the file. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { collectEvidence, verifyEvidence } from 'pinfetch/monitor'
import { expect, onTestFinished, test } from 'vitest'
import { ATTACKS } from '../../../src/testing/lab/attacks/index.ts'
import { type Contender, contenderOf } from '../../../src/testing/lab/contenders.ts'
import { createWorld } from '../../../src/testing/lab/world.ts'

const world = createWorld()
const withCertificates = ATTACKS.filter(({ group }) => group === 'certificates')

test('there are as many as the lab has attacks with certificates', () => {
  expect(withCertificates.length).toBeGreaterThan(20)
})

test.each(withCertificates.map((attack) => [attack.id, attack.title, attack] as const))(
  '%s: %s; the evidence gives the same code',
  async (_, __, attack) => {
    const folders: string[] = []
    const plain = contenderOf('pinfetch')
    const watched: Contender = {
      name: 'pinfetch',
      open: async (given) => {
        const open = await plain.open(given)
        const dir = mkdtempSync(join(tmpdir(), 'pinfetch-lab-'))
        onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
        folders.push(dir)
        const evidence = open.client && collectEvidence(open.client, { dir })
        return { ...open, close: () => Promise.all([open.close(), evidence?.close()]).then(() => undefined) }
      },
    }
    const { attack: attempt } = await attack.run(watched, world)
    const bundles = folders.flatMap((dir) => readdirSync(dir).map((name) => readFileSync(join(dir, name))))
    const verified = bundles.map((bytes) => verifyEvidence(bytes))
    expect(verified.map(({ differences }) => differences)).toEqual(verified.map(() => []))
    const codes = verified.map(({ again }) => (again !== undefined && 'code' in again ? again.code : undefined))
    if (attempt.code === undefined) expect(attempt.outcome).toBe('noticed')
    else expect(codes).toContain(attempt.code)
  },
)
