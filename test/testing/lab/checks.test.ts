import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { attackWithout, CHECKS, hasWon } from '../../../scripts/lab/without-checks.ts'

test.concurrent.each([
  ['pins match a key on the path', 'L01'],
  ['host name', 'L10'],
  ['revocation by a staple', 'L20'],
])('without the check "%s", %s wins', async (name, attack) => {
  const check = CHECKS.find((one) => one.name === name)
  const found = await attackWithout({ edits: check?.edits ?? [], attacks: [attack] })
  expect(found.map(({ attack }) => attack)).toEqual([attack])
  expect(found.filter(hasWon)).toHaveLength(1)
})

test('with every check, and without the second opinion of Node, none of them does', async () => {
  const found = await attackWithout({ edits: [], attacks: ['L01', 'L10', 'L20'] })
  expect(found.map(({ outcome }) => outcome)).toEqual(['refused', 'refused', 'refused'])
})

test.each(CHECKS.flatMap(({ name, edits }) => edits.map((edit) => ({ name, ...edit }))))(
  'what removes "$name" stands once in $file',
  ({ file, text }) => {
    const source = readFileSync(new URL(`../../../src/${file}`, import.meta.url), 'utf8')
    expect(source.split(text)).toHaveLength(2)
  },
)

test('a check that no longer stands where it stood is told of, not skipped', async () => {
  const edits = [{ file: 'trust/pins.ts', text: 'this was never there', without: '' }]
  await expect(attackWithout({ edits, attacks: ['L01'] })).rejects.toThrow('expected this text once, found it 0 times')
})
