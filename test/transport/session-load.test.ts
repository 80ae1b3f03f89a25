/** Counted, not timed: what many connections at once cost, and that none of them outlives a pin. */
import type { ServerResponse } from 'node:http'
import type { TestHandler } from 'pinfetch/testing'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import * as build from '../../src/trust/path/build.ts'
import * as signature from '../../src/trust/path/signature.ts'
import { next, policyOfVersion, resumedAt, server, start, VERSIONS } from './session-stage.ts'

vi.mock('../../src/trust/path/build.ts', async (load) => {
  const real = await load<typeof build>()
  return { ...real, findPath: vi.fn(real.findPath) }
})
vi.mock('../../src/trust/path/signature.ts', async (load) => {
  const real = await load<typeof signature>()
  return { ...real, isSignedBy: vi.fn(real.isSignedBy) }
})
beforeEach(() => void vi.clearAllMocks())

const LANES = 100

describe.each(VERSIONS)('under %s', (version) => {
  test('64 connections to one server at once cost one path search, and 64 that resume cost none', async () => {
    const waiting: ServerResponse[] = []
    const { get, peer, events } = await start(version, { handler: (_, response) => void waiting.push(response) })
    const burst = async (): Promise<void> => {
      const calls = Array.from({ length: 64 }, () => get())
      await expect.poll(() => waiting.length, { timeout: 30_000 }).toBe(64)
      for (const response of waiting.splice(0)) response.writeHead(200, { connection: 'close' }).end()
      expect(await Promise.all(calls)).toEqual(Array(64).fill(200))
    }
    await burst()
    expect(resumedAt(peer)).toEqual(Array(64).fill(false))
    expect(vi.mocked(build.findPath)).toHaveBeenCalledTimes(1)
    expect(vi.mocked(signature.isSignedBy)).toHaveBeenCalledTimes(2) // end entity and intermediate
    await burst()
    expect(resumedAt(peer).slice(64)).toEqual(Array(64).fill(true))
    expect(vi.mocked(build.findPath)).toHaveBeenCalledTimes(1)
    expect(events.filter(({ type }) => type === 'revocation.checked')).toHaveLength(128)
  })

  test('B5: once a pin is removed, none of 10,000 requests uses one of the 100 connections judged before', async () => {
    const held: ServerResponse[] = []
    let isOpen = false // once every lane has a request at the server, and with it a connection
    const handler: TestHandler = (_, response) => {
      held.push(response)
      isOpen ||= held.length === LANES
      if (isOpen) for (const one of held.splice(0)) one.end('ok')
    }
    const { dispatcher, peer, origin, setPolicy } = await start(version, { handler })
    setPolicy(policyOfVersion(origin, version, { pins: [server.pin, next.pin] }))
    let rotated: { readonly connections: number } | undefined
    const rotate = (): void => {
      peer.setIdentity(next)
      setPolicy(policyOfVersion(origin, version, { pins: [next.pin] }))
      dispatcher.policyChanged()
      rotated = { connections: peer.connections.length }
    }
    const call = async (): Promise<void> => {
      const path = rotated === undefined ? '/before' : '/after'
      const { statusCode, body } = await dispatcher.request({ origin: `https://${origin.text}`, path, method: 'GET' })
      await body.dump()
      expect(statusCode).toBe(200)
    }
    const lanes = (each: number, then = (): void => undefined): Promise<unknown> =>
      Promise.all(
        Array.from({ length: LANES }, async (_, lane) => {
          for (let round = 0; round < each; round += 1) {
            await call()
            if (lane === 0 && round === each >> 1) then()
          }
        }),
      )
    await lanes(10, rotate)
    const opened = peer.connections.length
    const served = peer.requests.length
    await lanes(100)
    const late = peer.requests.filter(({ path }) => path === '/after')
    expect(late.length).toBeGreaterThanOrEqual(10_000)
    expect(late.filter(({ connection }) => connection < (rotated?.connections ?? Number.POSITIVE_INFINITY))).toEqual([])
    expect(rotated?.connections).toBeGreaterThanOrEqual(LANES)
    // From when the pool has its connections: shared by at least 99 of 100 requests.
    expect((peer.connections.length - opened) / (peer.requests.length - served)).toBeLessThanOrEqual(0.01)
  })
})
