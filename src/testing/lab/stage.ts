import type { Runtime } from '../../ports/runtime.ts'
import { systemRuntime } from '../../ports/system.ts'
import { type Relay, startRelay } from '../relay.ts'
import { startTlsServer, type TestTlsServer, type TlsServerOptions } from '../tls-server.ts'
import type { Attack, Attempt } from './attack.ts'
import type { Given, OpenClient } from './contenders.ts'
import type { World } from './world.ts'

/** Whom the victim wants to talk to. Every name leads to this machine, unless an attack says otherwise. */
export const HOST = 'api.example.com'

/** Runs an attack, and ends what it started, the last first, however it goes. */
export async function scenario<T>(run: (keep: Keep) => Promise<T>): Promise<T> {
  const started: Closable[] = []
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

export type Keep = <T extends Closable>(starting: T | Promise<T>) => Promise<T>
type Closable = { close(): Promise<unknown> }

/** An attack that is nothing but another server in the place of the genuine one. */
export interface Deception {
  /** Default `HOST`. */
  readonly host?: string
  readonly attacker: TlsServerOptions
  readonly genuine: TlsServerOptions
  readonly given: Partial<Given> & Pick<Given, 'pins'>
}

export function deception(
  attack: Omit<Attack, 'run'>,
  scene: (world: World) => Deception | Promise<Deception>,
): Attack {
  return {
    ...attack,
    run: (contender, world) =>
      scenario(async (keep) => {
        const { host, attacker, genuine, given } = await scene(world)
        const open = await keep(contender.open(givenFor(world, [], given)))
        const bad = await startStage(keep, attacker.identity, attacker, host)
        const attack = await attempt(open, bad.url, witnessOf(bad))
        const good = await startStage(keep, genuine.identity, genuine, host)
        return { attack, control: await control(open, good.url, SECRET) }
      }),
  }
}

/** What a client is given that pins these keys for the host, trusts the two trusted roots and has the victim's certificate. */
export const givenFor = (
  { anchors, certificate }: World,
  pins: readonly string[],
  more: Partial<Given> = {},
): Given => ({ anchors, certificate, pins: { [HOST]: pins }, ...more })

/** A server behind a relay, which sees what the server may be wrong about. */
export interface Stage {
  readonly peer: TestTlsServer
  readonly relay: Relay
  readonly url: string
}

/** It asks every client for its certificate, as somebody does who collects them. */
export async function startStage(
  keep: Keep,
  identity: TlsServerOptions['identity'],
  options: Partial<TlsServerOptions> = {},
  host = HOST,
): Promise<Stage> {
  const peer = await keep(startTlsServer({ requestCert: true, ...options, identity }))
  const relay = await keep(startRelay({ target: peer }))
  return { peer, relay, url: urlAt(relay, host) }
}

export const urlAt = ({ port }: { readonly port: number }, host = HOST): string => `https://${host}:${port}/`

/** Who looks at what the attacker was sent, and can say when that is final. */
export interface Witness {
  /** Of application data that the attacker decrypted, or could. */
  readonly octets: () => number
  /** Of application data in the records of the wire. */
  readonly octetsOnWire?: () => number
  /** How many it was shown. */
  readonly clientCertificates: () => number
  readonly idle: () => Promise<void>
}

/** What the attacker itself decrypted. */
export const witnessOf = ({ peer, relay }: Stage): Witness => ({
  octets: () => peer.applicationBytes,
  octetsOnWire: wireOf(relay).octets,
  clientCertificates: () => peer.clientCertificates.length,
  idle: relay.idle,
})

/** What a relay saw on the way to a server that cannot be asked: up to TLS 1.2 an encrypted request is told from a handshake. */
export const wireOf = (relay: Relay): Witness => ({
  octets: () => relay.clientToServer.records.reduce((sum, { type, length }) => sum + (type === 23 ? length : 0), 0),
  clientCertificates: () =>
    relay.clientToServer.records.filter(({ type, firstByte }) => type === 22 && firstByte === 11).length,
  idle: relay.idle,
})

/**
 * Sends a secret to the attacker. Of pinfetch, which refuses in the middle of the handshake, the wire must not carry a single
 * record of application data either, whatever is in it; others have already sent their Finished in one (RFC 8446 §5.2).
 */
export async function attempt(
  open: OpenClient,
  url: string,
  witness: Witness,
  init: RequestInit = SECRET,
): Promise<Attempt> {
  const { clientCertificates, idle, octetsOnWire = () => 0 } = witness
  const octets = (): number => Math.max(witness.octets(), open.client === undefined ? 0 : octetsOnWire())
  const before = { octets: octets(), certificates: clientCertificates() }
  const ending = await ended(open.fetch(url, init))
  // What was refused is over soon, and what was sent before that arrives. An answer leaves its connection open.
  if (!ending.isAnswered) await Promise.race([idle(), waitFor(SETTLED_MS)])
  return {
    ...asAttempt(ending),
    applicationOctets: octets() - before.octets,
    sawClientCertificate: clientCertificates() > before.certificates,
  }
}

/** The request that must be accepted. */
export async function control(open: OpenClient, url: string, init?: RequestInit): Promise<Attempt> {
  return asAttempt(await ended(open.fetch(url, init)))
}

/** Of which the attacker saw nothing. */
export const asAttempt = ({ isAnswered, code }: Pick<Ending, 'isAnswered' | 'code'>): Attempt => ({
  outcome: isAnswered ? 'accepted' : 'refused',
  ...(code === undefined ? {} : { code }),
  applicationOctets: 0,
  sawClientCertificate: false,
})

export interface Ending {
  readonly isAnswered: boolean
  readonly text: string
  readonly code?: string
}

/** How a request ended, its body included: any response is an answer, whatever its status. */
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
export function worstOf({ codes }: Pick<Attack, 'codes'>, attempts: readonly Attempt[]): Attempt {
  const isExpected = (code: string | undefined): boolean => codes.length === 0 || codes.some((one) => one === code)
  const won = attempts.find(
    ({ outcome, code, applicationOctets, sawClientCertificate, gained }) =>
      outcome === 'accepted' ||
      applicationOctets > 0 ||
      sawClientCertificate ||
      gained !== undefined ||
      !isExpected(code),
  )
  const worst = won ?? attempts[0]
  if (worst === undefined) throw new Error('nothing was attempted')
  return worst
}

/** The machine's clock, which can be moved on: for what a client spaces out in time. */
export function hastyRuntime(): { readonly runtime: Runtime; readonly skip: (ms: number) => void } {
  let skipped = 0
  const { now, monotonic } = systemRuntime.clock
  const clock = { now, monotonic: () => monotonic() + skipped }
  const skip = (ms: number): void => {
    skipped += ms
  }
  return { runtime: { ...systemRuntime, clock }, skip }
}

export const waitFor = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    systemRuntime.schedule(ms, resolve)
  })

/** What a request carries, so that a client which sends it has something to lose. */
export const SECRET: RequestInit = {
  method: 'POST',
  headers: { authorization: 'Bearer secret-of-the-victim', 'content-type': 'text/plain' },
  body: 'pay 100 to Alice',
}
const SETTLED_MS = 5_000
const PATIENCE_MS = 20_000
