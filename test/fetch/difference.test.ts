import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bodyCases } from './body-cases.ts'
import { codingCases } from './coding-cases.ts'
import { failureCases } from './failure-cases.ts'
import { requestCases } from './request-cases.ts'
import { responseCases } from './response-cases.ts'
import { type Case, NODE, openRoads, type Routes } from './roads.ts'

const routes: Routes = { http: new Map(), raw: new Map() }
const tables: Readonly<Record<string, readonly Case[]>> = {
  'what is sent': requestCases(routes),
  'what a response shows': responseCases(routes),
  'how a body is read': bodyCases(routes),
  'content codings': codingCases(routes),
  'what goes wrong': failureCases(routes),
}

let roads: Awaited<ReturnType<typeof openRoads>>
beforeAll(async () => {
  roads = await openRoads(routes)
})
afterAll(() => roads.close())

describe.each(Object.entries(tables))('the runtime’s fetch and ours agree: %s', (_, cases) => {
  test.each(cases.filter((one) => !isWanted(one)))('$name', async (one) => {
    const expected = await roads.observe('builtIn', one)
    expect(await roads.observe('lean', one)).toEqual(expected)
    expect(await roads.observe('full', one)).toEqual(expected)
  })
})

describe('where ours is meant to differ', () => {
  const wanted = Object.values(tables).flat().filter(isWanted)
  test.each(wanted)('$name: $wanted.reason', async (one) => {
    const ours = await roads.observe('lean', one)
    const theirs = await roads.observe('builtIn', one)
    expect(ours).toMatchObject({ saw: one.wanted?.ours })
    expect(ours).not.toEqual(theirs) // one that no longer differs moves to the tables above
    expect(await roads.observe('full', one)).toEqual(one.wanted?.onlyLean ? theirs : ours)
  })
})

test('there are as many cases as we say', () => {
  const names = Object.values(tables).flatMap((cases) => cases.map(({ name }) => name))
  expect(new Set(names).size).toBe(names.length)
  expect(names.length).toBeGreaterThanOrEqual(150)
})

function isWanted({ wanted }: Case): boolean {
  return wanted !== undefined && (wanted.on === undefined || wanted.on(NODE))
}
