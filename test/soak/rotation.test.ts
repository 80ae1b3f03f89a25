import { Agent, request } from 'node:https'
import { expect, test } from 'vitest'
import { soak, violations } from '../../scripts/soak/rotation.ts'

test('under load, pins, status key, manifest key, root keys and epochs rotate and a mirror is lost: no request fails, none goes over a connection that the manifest ended', async () => {
  const phases = await soak({ seconds: 10, rate: 60 })
  expect(violations(phases)).toEqual([])
  expect(phases.map(({ name }) => name)).toEqual([
    'start',
    'pins',
    'status key',
    'manifest key',
    'root keys',
    'epochs, stolen keys',
    'a mirror is lost',
  ])
  // Each rotation had connections to end, and their place was taken.
  for (const { name, retired, connections } of phases.slice(1)) {
    expect([name, retired > 0, connections > 0]).toEqual([name, true, true])
  }
}, 120_000)

test('the control: a client that keeps the connection it has is seen to', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const send = (_: unknown, url: string, ca: string) =>
    new Promise<number>((resolve, reject) => {
      const { hostname, port } = new URL(url)
      const options = { host: '127.0.0.1', port, servername: hostname, headers: { host: hostname }, agent, ca }
      const sent = request(options, (response) => {
        response.resume().once('end', () => resolve(response.statusCode ?? 0))
      })
      sent.once('error', reject).end()
    })
  const phases = await soak({ seconds: 3, rate: 20, rotations: 1, send })
  agent.destroy()
  expect(violations(phases)).toEqual([expect.stringMatching(/^pins: \d+ requests on connections/)])
}, 60_000)
