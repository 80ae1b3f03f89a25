import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { differingRedirects, redirectCases } from './redirect-cases.ts'
import { openRoads, type Routes } from './roads.ts'

const routes: Routes = { http: new Map(), raw: new Map() }

let roads: Awaited<ReturnType<typeof openRoads>>
beforeAll(async () => {
  roads = await openRoads(routes, 'same-origin')
})
afterAll(() => roads.close())

describe('the runtime’s fetch and ours agree: redirects to the same origin', () => {
  test.each(redirectCases(routes))('$name', async (one) => {
    const expected = await roads.observe('builtIn', one)
    expect(await roads.observe('lean', one)).toEqual(expected)
    expect(await roads.observe('full', one)).toEqual(expected)
  })
})

describe('where ours is meant to differ', () => {
  test.each(differingRedirects(routes))('$name: $wanted.reason', async (one) => {
    const ours = await roads.observe('lean', one)
    const theirs = await roads.observe('builtIn', one)
    expect(ours).toMatchObject({ saw: one.wanted?.ours })
    expect(ours).not.toEqual(theirs) // one that no longer differs moves to the table above
    expect(await roads.observe('full', one)).toEqual(ours)
  })
})
