import { connect, createServer, type Server, type Socket } from 'node:net'
import { closeServer } from '../../loopback.ts'
import { startTlsServer, type TestHandler } from '../../tls-server.ts'
import type { Attack, Attempt } from '../attack.ts'
import type { Contender, OpenClient } from '../contenders.ts'
import {
  asAttempt,
  control,
  ended,
  givenFor,
  HOST,
  type Keep,
  SECRET,
  scenario,
  urlAt,
  waitFor,
  worstOf,
} from '../stage.ts'
import type { World } from '../world.ts'

/** Names that lead elsewhere: whoever answers for them decides where a connection goes, and nothing else may depend on that. */
export const names: readonly Attack[] = [
  {
    id: 'L39',
    group: 'names',
    title: 'Poisons the name service: the host is at the address of an attacker with a certificate of a trusted CA',
    codes: ['ERR_TRUST_PIN_MISMATCH'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const server = await keep(startTlsServer({ identity: genuine, handler: closing }))
        const thief = await keep(
          startTlsServer({ identity: world.otherCa.issue({ names: [HOST] }), requestCert: true }),
        )
        const other = await startElsewhere(keep, server.port, (socket) => {
          const upstream = connect({ host: thief.host, port: thief.port })
          upstream.on('error', () => socket.destroy())
          socket.pipe(upstream).pipe(socket)
        })
        let address = '127.0.0.1'
        const open = await keep(contender.open(givenFor(world, [genuine.pin], { resolve: () => [address] })))
        const url = urlAt(server)
        const accepted = await control(open, url)
        address = other.address
        const ending = await ended(open.fetch(url, SECRET))
        await until(() => thief.connections.every(({ socket }) => ending.isAnswered || socket.destroyed))
        const attack: Attempt = {
          ...asAttempt(ending),
          applicationOctets: thief.applicationBytes,
          sawClientCertificate: thief.clientCertificates.length > 0,
        }
        return { attack, control: accepted }
      }),
  },
  {
    id: 'L40',
    group: 'names',
    title: 'Rebinds the name, once it was checked, to an address inside that no request may reach',
    codes: ['ERR_POLICY_ADDRESS_DENIED'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const stage = await startInside(keep, contender, world)
        const accepted = await control(stage.open, stage.url)
        return { attack: await stage.reachAt(stage.inside), control: accepted }
      }),
  },
  {
    id: 'L41',
    group: 'names',
    title: 'Names an address inside in other words: IPv4 in IPv6, NAT64, 6to4, the metadata service of a cloud',
    codes: ['ERR_POLICY_ADDRESS_DENIED'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const stage = await startInside(keep, contender, world)
        const accepted = await control(stage.open, stage.url)
        // A client that refuses none of these would leave the machine with the last.
        const outside = stage.open.client === undefined ? [] : OUTSIDE
        const attempts = [await stage.reachAt(stage.inside.includes(':') ? stage.inside : `::ffff:${stage.inside}`)]
        for (const address of outside) attempts.push(await stage.reachAt(address))
        return { attack: worstOf({ codes: ['ERR_POLICY_ADDRESS_DENIED'] }, attempts), control: accepted }
      }),
  },
]

/** A server, and at the same port of an address that the operator denies somebody who counts who comes. */
async function startInside(keep: Keep, contender: Contender, world: World): Promise<Inside> {
  const genuine = world.ca.issue({ names: [HOST] })
  const server = await keep(startTlsServer({ identity: genuine, handler: closing }))
  let connections = 0
  const inside = await startElsewhere(keep, server.port, (socket) => {
    connections += 1
    socket.destroy()
  })
  let answer = '127.0.0.1'
  const addresses = { deny: [inside.address.includes(':') ? '::1/128' : `${inside.address}/32`] }
  const given = givenFor(world, [genuine.pin], { resolve: () => [answer], pinfetch: { addresses } })
  const open = await keep(contender.open(given))
  const url = urlAt(server)
  return {
    open,
    url,
    inside: inside.address,
    reachAt: async (address) => {
      answer = address
      return {
        ...asAttempt(await ended(open.fetch(url, SECRET))),
        ...(connections > 0 ? { gained: 'a connection to an address inside' } : {}),
      }
    },
  }
}

interface Inside {
  readonly open: OpenClient
  readonly url: string
  readonly inside: string
  /** Says that the host is at this address, and lets the client ask for it. */
  readonly reachAt: (address: string) => Promise<Attempt>
}

/** The same port at another address of this machine: of 127.0.0.0/8 where it has all of it, else the one of IPv6. */
async function startElsewhere(
  keep: Keep,
  port: number,
  onSocket: (socket: Socket) => void,
): Promise<{ readonly address: string }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    onSocket(socket)
  })
  const address = await listenAt(server, port, OTHER_ADDRESSES)
  await keep({ close: () => closeServer(server, sockets) })
  return { address }
}

async function listenAt(server: Server, port: number, [first = '', ...others]: readonly string[]): Promise<string> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, first, () => {
        server.off('error', reject)
        resolve()
      })
    })
    return first
  } catch (error) {
    if (others.length === 0) throw error
    return listenAt(server, port, others)
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let rounds = 0; rounds < 500 && !isSo(); rounds += 1) await waitFor(10)
}

/** Ends the connection with the response, so that the next request asks for the address again. */
const closing: TestHandler = (_, response) => response.writeHead(200, { connection: 'close' }).end('ok')

const OTHER_ADDRESSES = ['127.0.0.66', '::1']
const OUTSIDE = ['::ffff:7f00:42', '64:ff9b::7f00:42', '2002:7f00:42::1', '169.254.169.254', 'fe80::1']
