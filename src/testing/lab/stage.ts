import { systemRuntime } from '../../ports/system.ts'
import { type Relay, startRelay } from '../relay.ts'
import { startTlsServer, type TestTlsServer, type TlsServerOptions } from '../tls-server.ts'
import type { Attack, AttackResult, Attempt } from './attack.ts'
import type { Contender, Given } from './contenders.ts'
import type { World } from './world.ts'

/** Whom the victim wants to talk to, in most attacks. */
export const HOST = 'api.example.com'

/** A server behind a relay that reads the records on the wire. */
export interface Stand {
  readonly peer: TestTlsServer
  readonly relay: Relay
  readonly close: () => Promise<void>
}

/** It asks every client for its certificate, as somebody does who collects them. */
export async function stand(options: TlsServerOptions): Promise<Stand> {
  const peer = await startTlsServer({ requestCert: true, ...options })
  const relay = await startRelay({ target: peer })
  const close = async (): Promise<void> => {
    await Promise.all([relay.close(), peer.close()])
  }
  return { peer, relay, close }
}

/** An attack that is nothing but another server in the place of the genuine one. */
export interface Deception {
  /** Default `HOST`. */
  readonly host?: string
  readonly attacker: TlsServerOptions
  readonly genuine: TlsServerOptions
  /** Default: the two trusted roots as `anchors`, and the victim's certificate. */
  readonly given: Partial<Given> & Pick<Given, 'pins'>
  readonly withoutCertificate?: true
  /** What else the scene holds open. */
  readonly close?: () => Promise<void>
}

export function deception(
  attack: Omit<Attack, 'run'>,
  scene: (world: World) => Deception | Promise<Deception>,
): Attack {
  return {
    ...attack,
    run: async (contender, world): Promise<AttackResult> => {
      const { host = HOST, attacker, genuine, given: more, withoutCertificate, close } = await scene(world)
      const { anchors, certificate } = world
      const given = { anchors, ...(withoutCertificate === true ? {} : { certificate }), ...more }
      try {
        return {
          attack: await visit(contender, given, host, attacker),
          control: await visit(contender, given, host, genuine),
        }
      } finally {
        await close?.()
      }
    },
  }
}

async function visit(contender: Contender, given: Given, host: string, server: TlsServerOptions): Promise<Attempt> {
  const there = await stand(server)
  try {
    return await attempt(contender, given, `https://${host}:${there.relay.port}/v1/payments`, there)
  } finally {
    await there.close()
  }
}

/** One request with secrets in it by a new client, and what the server that it came to saw of it. */
export async function attempt(contender: Contender, given: Given, url: string, at: Stand): Promise<Attempt> {
  const client = await contender.open(given)
  const ending = await endingOf(() => client.fetch(url, SECRET)).finally(() => client.close())
  await Promise.race([at.relay.idle(), passed(SETTLING_MS)]) // then what was sent has arrived
  return {
    ...ending,
    applicationOctets: octetsSent(contender, at),
    sawClientCertificate: at.peer.clientCertificates.length > 0,
  }
}

/** How a request ended for the client: any response is an acceptance, whatever its status. */
export async function endingOf(request: () => Promise<Response>): Promise<Pick<Attempt, 'outcome' | 'code'>> {
  const late = passed(PATIENCE_MS).then(() => ({ outcome: 'refused', code: 'NO_ANSWER' }) as const)
  const ending = request().then(
    async (response) => {
      await response.text()
      return { outcome: 'accepted' } as const
    },
    (error: unknown) => refusal(error),
  )
  return Promise.race([ending, late])
}

/** The code of the error, or of the first of its causes that has one. */
export function refusal(error: unknown): { readonly outcome: 'refused'; readonly code?: string } {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return { outcome: 'refused', code: at.code }
  }
  return { outcome: 'refused' }
}

/**
 * What the server decrypted. Of pinfetch, which refuses in the middle of the handshake, the wire must not have carried a single
 * record of application data either, whatever was in it; others have already sent their Finished in one (RFC 8446 §5.2).
 */
export function octetsSent({ name }: Contender, { peer, relay }: Stand): number {
  const onTheWire = relay.clientToServer.records.filter(({ type }) => type === APPLICATION_DATA)
  const octets = name === 'pinfetch' ? onTheWire.reduce((sum, { length }) => sum + length, 0) : 0
  return Math.max(peer.applicationBytes, octets)
}

export function passed(ms: number): Promise<void> {
  return new Promise((resolve) => systemRuntime.schedule(ms, resolve))
}

/** What every request carries, so that a client which sends it has something to lose. */
export const SECRET = {
  method: 'POST',
  headers: { authorization: 'Bearer secret-of-the-victim', 'content-type': 'text/plain' },
  body: 'pay 100 to Alice',
} as const

const APPLICATION_DATA = 23
const SETTLING_MS = 3_000
const PATIENCE_MS = 20_000
