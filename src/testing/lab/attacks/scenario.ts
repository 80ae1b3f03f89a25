import { systemRuntime } from '../../../ports/system.ts'
import { type Relay, startRelay } from '../../relay.ts'
import { type ServerIdentity, startTlsServer, type TestTlsServer, type TlsServerOptions } from '../../tls-server.ts'
import type { Attack, Attempt } from '../attack.ts'
import type { Given, OpenClient } from '../contenders.ts'
import type { World } from '../world.ts'

/** Runs an attack, and ends what it started, the last first, however it goes. */
export async function scenario<T>(run: (keep: Keep) => Promise<T>): Promise<T> {
  const started: { close(): Promise<unknown> }[] = []
  const keep: Keep = async (starting) => {
    const resource = await starting
    started.unshift(resource)
    return resource
  }
  try {
    return await run(keep)
  } finally {
    for (const resource of started) await resource.close()
  }
}

export type Keep = <T extends { close(): Promise<unknown> }>(starting: Promise<T>) => Promise<T>

/** A name that every client of this machine can resolve. */
export const HOST = 'localhost'

/** What a client is given that pins these keys for the host of the lab. */
export const givenFor = (world: World, pins: readonly string[], more: Partial<Given> = {}): Given => ({
  anchors: world.anchors,
  pins: { [HOST]: pins },
  ...more,
})

/** A server behind a relay, which sees what the server may be wrong about. */
export interface Stage {
  readonly peer: TestTlsServer
  readonly relay: Relay
  readonly url: string
}

export async function startStage(
  keep: Keep,
  identity: ServerIdentity,
  options: Partial<TlsServerOptions> = {},
): Promise<Stage> {
  const peer = await keep(startTlsServer({ identity, ...options }))
  const relay = await keep(startRelay({ target: peer }))
  return { peer, relay, url: `${relay.origin}/` }
}

/** Who looks at what the attacker was sent, and can say when that is final. */
export interface Witness {
  readonly octets: () => number
  readonly sawClientCertificate: () => boolean
  readonly idle: () => Promise<void>
}

/** What the attacker itself decrypted. */
export const witnessOf = ({ peer, relay }: Stage): Witness => ({
  octets: () => peer.applicationBytes,
  sawClientCertificate: () => peer.clientCertificates.length > 0,
  idle: relay.idle,
})

/** What a relay saw on the way to a server that cannot be asked: up to TLS 1.2 an encrypted request is told from a handshake. */
export const wireOf = (relay: Relay): Witness => ({
  octets: () => octetsOf(relay.clientToServer.records),
  sawClientCertificate: () =>
    relay.clientToServer.records.some(({ type, firstByte }) => type === 22 && firstByte === 11),
  idle: relay.idle,
})

const octetsOf = (records: readonly { readonly type: number; readonly length: number }[]): number =>
  records.reduce((sum, { type, length }) => sum + (type === 23 ? length : 0), 0)

/** Sends a secret to the attacker. */
export async function attempt(
  open: OpenClient,
  url: string,
  witness: Witness,
  init: RequestInit = SECRET,
): Promise<Attempt> {
  const { octets, sawClientCertificate, idle } = witness
  const before = octets()
  const { code, isAnswered } = await ended(open.fetch(url, init))
  // What was refused is over soon, and what was sent before that arrives. An answer leaves its connection open.
  if (!isAnswered) await Promise.race([idle(), waitFor(SETTLED_MS)])
  return {
    outcome: isAnswered ? 'accepted' : 'refused',
    ...(code === undefined ? {} : { code }),
    applicationOctets: octets() - before,
    sawClientCertificate: sawClientCertificate(),
  }
}

/** The request that must be accepted. */
export async function control(open: OpenClient, url: string, init?: RequestInit): Promise<Attempt> {
  const { code, isAnswered } = await ended(open.fetch(url, init))
  return {
    outcome: isAnswered ? 'accepted' : 'refused',
    ...(code === undefined ? {} : { code }),
    applicationOctets: 0,
    sawClientCertificate: false,
  }
}

export interface Ending {
  readonly isAnswered: boolean
  readonly text: string
  readonly code?: string
}

/** How a request ended, its body included. */
export function ended(call: Promise<Response>): Promise<Ending> {
  const ending = call.then(
    async (response): Promise<Ending> => ({ isAnswered: true, text: await response.text() }),
    (error: unknown): Ending => ({ isAnswered: false, text: '', ...codeIn(error) }),
  )
  const noAnswer: Ending = { isAnswered: false, text: '', code: 'NO_ANSWER' }
  return Promise.race([ending.catch(() => noAnswer), waitFor(PATIENCE_MS).then(() => noAnswer)])
}

/** Of the error, or of the first of its causes that has one. */
export function codeIn(error: unknown): { readonly code?: string } {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth += 1) {
    const { code } = at as Error & { readonly code?: unknown }
    if (typeof code === 'string') return { code }
  }
  return {}
}

/** Of several ways to do the same the one that went best for the attacker. */
export function worstOf({ codes }: Pick<Attack, 'codes'>, attempts: readonly [Attempt, ...Attempt[]]): Attempt {
  const failed = attempts.find(
    ({ outcome, code, applicationOctets, sawClientCertificate, gained }) =>
      outcome === 'accepted' || applicationOctets > 0 || sawClientCertificate || gained !== undefined || !isOne(code),
  )
  function isOne(code: string | undefined): boolean {
    return codes.length === 0 || codes.some((one) => one === code)
  }
  return failed ?? attempts[0]
}

export const waitFor = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    systemRuntime.schedule(ms, resolve)
  })

export const SECRET: RequestInit = { method: 'POST', body: 'secret', headers: { authorization: 'Bearer secret' } }
const SETTLED_MS = 5_000
const PATIENCE_MS = 20_000
