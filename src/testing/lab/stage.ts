import { systemRuntime } from '../../ports/system.ts'
import { type Relay, startRelay } from '../relay.ts'
import { startTlsServer, type TestTlsServer, type TlsServerOptions } from '../tls-server.ts'
import type { Attack, Attempt } from './attack.ts'
import type { Contender, Given, OpenClient } from './contenders.ts'
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
  readonly given: Partial<Given> & Pick<Given, 'pins'>
  /** What else the scene holds open. */
  readonly close?: () => Promise<void>
}

export function deception(
  attack: Omit<Attack, 'run'>,
  scene: (world: World) => Deception | Promise<Deception>,
): Attack {
  return {
    ...attack,
    run: async (contender, world) => {
      const { host = HOST, attacker, genuine, given, close } = await scene(world)
      const client = await contender.open(givenBy(world, given))
      try {
        return {
          attack: await visit(contender, client, host, attacker),
          control: await visit(contender, client, host, genuine),
        }
      } finally {
        await client.close()
        await close?.()
      }
    },
  }
}

/** By default the two trusted roots, and the victim's certificate. */
export function givenBy({ anchors, certificate }: World, given: Deception['given']): Given {
  return { anchors, certificate, ...given }
}

async function visit(
  contender: Contender,
  client: OpenClient,
  host: string,
  server: TlsServerOptions,
): Promise<Attempt> {
  const there = await stand(server)
  try {
    return await attempt(contender, client, host, there)
  } finally {
    await there.close()
  }
}

/** One request with secrets in it, and what the server that it came to saw of it. */
export async function attempt(contender: Contender, client: OpenClient, host: string, at: Stand): Promise<Attempt> {
  const ending = await endingOf(() => client.fetch(`https://${host}:${at.relay.port}/v1/payments`, SECRET))
  if (ending.outcome === 'refused') await Promise.race([at.relay.idle(), passed(SETTLING_MS)]) // then what was sent has arrived
  return {
    ...ending,
    applicationOctets: octetsSent(contender, at),
    sawClientCertificate: at.peer.clientCertificates.length > 0,
  }
}

/** How a request ended for the client: any response is an acceptance, whatever its status. */
async function endingOf(request: () => Promise<Response>): Promise<Pick<Attempt, 'outcome' | 'code'>> {
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
function refusal(error: unknown): { readonly outcome: 'refused'; readonly code?: string } {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return { outcome: 'refused', code: at.code }
  }
  return { outcome: 'refused' }
}

/**
 * What the server decrypted. Of pinfetch, which refuses in the middle of the handshake, the wire must not have carried a single
 * record of application data either, whatever was in it; others have already sent their Finished in one (RFC 8446 §5.2).
 */
function octetsSent({ name }: Contender, { peer, relay }: Stand): number {
  const onTheWire = relay.clientToServer.records.filter(({ type }) => type === APPLICATION_DATA)
  const octets = name === 'pinfetch' ? onTheWire.reduce((sum, { length }) => sum + length, 0) : 0
  return Math.max(peer.applicationBytes, octets)
}

export function passed(ms: number): Promise<void> {
  return new Promise((resolve) => systemRuntime.schedule(ms, resolve))
}

/** What every request carries, so that a client which sends it has something to lose. */
const SECRET = {
  method: 'POST',
  headers: { authorization: 'Bearer secret-of-the-victim', 'content-type': 'text/plain' },
  body: 'pay 100 to Alice',
} as const

const APPLICATION_DATA = 23
const SETTLING_MS = 3_000
const PATIENCE_MS = 20_000
