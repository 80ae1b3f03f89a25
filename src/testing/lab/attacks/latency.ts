import { connect, createServer, type Socket } from 'node:net'
import { systemRuntime } from '../../../ports/system.ts'
import { closeServer, LOOPBACK, listen } from '../../loopback.ts'
import type { Attack, Attempt } from '../attack.ts'
import type { OpenClient } from '../contenders.ts'
import { control, ended, givenFor, HOST, type Keep, scenario, startStage } from '../stage.ts'

/** Nothing is wrong with what arrives; it takes longer to. */
export const latency: readonly Attack[] = [
  {
    id: 'L42',
    group: 'names',
    title: 'Puts itself on the way with no certificate at all, which takes forty milliseconds a round trip',
    codes: ['tls.timing'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const { peer } = await startStage(keep, genuine)
        let elapsed = 0
        let delayMs = 4
        const port = await startDetour(keep, peer.port, () => {
          elapsed += delayMs
        })
        // Time passes on the wire alone, so that a busy machine is no attacker.
        const clock = { now: systemRuntime.clock.now, monotonic: () => elapsed }
        const pinfetch = { runtime: { ...systemRuntime, clock } }
        const open = await keep(contender.open(givenFor(world, [genuine.pin], { pinfetch })))
        const url = `https://${HOST}:${port}/`
        const accepted = await control(open, url)
        const [learning, watching] = open.client === undefined ? [1, 1] : [LEARNED, WATCHED]
        const quiet = await toldBy(open, url, learning)
        delayMs += 40
        const told = await toldBy(open, url, watching)
        const isNoticed = quiet.told === 0 && told.told > 0
        const attack: Attempt = {
          outcome: !told.isAnswered ? 'refused' : isNoticed ? 'noticed' : 'accepted',
          ...(isNoticed ? { code: 'tls.timing' } : {}),
          applicationOctets: 0, // it reads nothing that is not encrypted
          sawClientCertificate: false,
        }
        return { attack, control: accepted }
      }),
  },
]

/** How often a client says that the pace has changed, over so many requests. */
async function toldBy(open: OpenClient, url: string, rounds: number): Promise<{ told: number; isAnswered: boolean }> {
  let told = 0
  let isAnswered = true
  const end = open.client?.on('tls.timing', () => {
    told += 1
  })
  for (let round = 0; round < rounds; round += 1) isAnswered &&= (await ended(open.fetch(url))).isAnswered
  end?.()
  return { told, isAnswered }
}

async function startDetour(keep: Keep, target: number, onChunk: () => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect({ host: LOOPBACK, port: target })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
    }
    upstream.on('data', onChunk)
    client.pipe(upstream).pipe(client)
  })
  const port = await listen(server)
  await keep({ close: () => closeServer(server, sockets) })
  return port
}

const LEARNED = 205 // 200 samples make a level
const WATCHED = 60
