import type { ClientOptions } from '../../src/index.ts'
import type { FaultScript, FaultServer } from '../../src/testing/index.ts'
import { type FaultCase, until } from './fault-case.ts'
import { POST } from './scripted.ts'
import type { World } from './world.ts'

interface Point {
  readonly fault: string
  /** What holds the call at this point. */
  readonly script?: FaultScript
  readonly client?: Partial<ClientOptions>
  readonly isThere: (peer: FaultServer) => boolean
  readonly attempts: number
}

const BODY = 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n'
const stage = (name: string) => (peer: FaultServer) => peer.connections[0]?.stage === name
const response = (...bytes: string[]): FaultScript => [
  [
    { at: 'response', fault: 'bytes', bytes },
    { at: 'response', fault: 'stall', after: 'end' },
  ],
]

/** Everywhere a call can wait. */
const POINTS: readonly Point[] = [
  {
    fault: 'while the name is resolved',
    client: { resolver: () => new Promise(() => undefined) },
    isThere: () => true,
    attempts: 0,
  },
  { fault: 'at accept', script: [{ at: 'accept', fault: 'stall' }], isThere: stage('accept'), attempts: 1 },
  { fault: 'after the ClientHello', script: [{ at: 'tls', fault: 'stall' }], isThere: stage('tls'), attempts: 1 },
  {
    fault: 'in the middle of the certificates',
    script: [{ at: 'tls', fault: 'stall', after: 600 }],
    isThere: stage('tls'),
    attempts: 1,
  },
  {
    fault: 'after the handshake',
    script: [{ at: 'request', fault: 'stall' }],
    isThere: stage('request'),
    attempts: 1,
  },
  {
    fault: 'after the request',
    script: [{ at: 'response', fault: 'stall' }],
    isThere: stage('response'),
    attempts: 1,
  },
  { fault: 'within the headers', script: response(BODY.slice(0, 20)), isThere: stage('response'), attempts: 1 },
  { fault: 'after the headers', script: response(BODY), isThere: stage('response'), attempts: 1 },
  { fault: 'after one piece of the body', script: response(BODY, 'abc'), isThere: stage('response'), attempts: 1 },
  { fault: 'after two', script: response(BODY, 'abc', 'def'), isThere: stage('response'), attempts: 1 },
]

/** F63: whoever loses patience gets their own reason, and leaves nothing behind. */
export const abortCases: readonly FaultCase[] = [
  {
    id: 'F63',
    fault: 'abort before anything',
    required: { calls: ['AbortError'], attempts: 0 },
    run: async (world) => {
      await world.call(world.client(), await world.serve(), { ...POST, signal: AbortSignal.abort() })
    },
  },
  ...POINTS.map(
    ({ fault, script, client: options, isThere, attempts }): FaultCase => ({
      id: 'F63',
      fault: `abort ${fault}`,
      required: { calls: ['AbortError'], attempts },
      run: async (world) => {
        const peer = await world.serve({ script: script ?? [] })
        const client = world.client(options)
        const patience = new AbortController()
        const call = world.call(client, peer, { ...POST, signal: patience.signal })
        await until(() => isThere(peer))
        await turns(20) // what was sent is there by now
        patience.abort()
        await call
      },
    }),
  ),
  {
    id: 'F63',
    fault: 'abort after more and more turns of the event loop, up to the end of the call',
    required: { calls: ['200 ok'], attempts: [10, 400] },
    run: everyTurn,
  },
]

/** No stage is named, so none is forgotten: with each call the abort comes one turn later, until calls outrun it. */
async function everyTurn(world: World): Promise<void> {
  const peer = await world.serve({ script: () => ({ at: 'response', fault: 'slice', bytes: 40 }) })
  const outcomes = new Map<string, number>()
  let faster = 0
  for (let after = 0; faster < 3 && after < 20_000; after += 1 + (after >> 4)) {
    const client = world.client() // of its own, so that each call makes a connection
    const patience = new AbortController()
    const outcome = client
      .fetch(`https://api.example.com:${peer.port}/`, { ...POST, signal: patience.signal })
      .then((answer) => answer.text())
      .catch((error: { name?: string; code?: unknown }) => String(error.code === 20 ? error.name : error.code))
    await turns(after)
    patience.abort()
    const seen = await outcome
    outcomes.set(seen, (outcomes.get(seen) ?? 0) + 1)
    if (seen === 'ok') faster += 1
    await client.close()
  }
  for (const outcome of outcomes.keys()) {
    if (outcome !== 'ok' && outcome !== 'AbortError') world.complain(`an aborted call ended with ${outcome}`)
  }
  if ((outcomes.get('AbortError') ?? 0) < 10) world.complain('fewer than ten calls were aborted')
  await until(() => world.open() === 0)
  if (world.open() > 0) world.complain(`${world.open()} connections are open after their clients were closed`)
  await world.call(world.client(), peer) // the control
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
