import { systemRuntime } from '../../../ports/system.ts'
import { startManifestServer } from '../../manifest-server.ts'
import { createTestRepository } from '../../repository.ts'
import type { TestHandler } from '../../tls-server.ts'
import type { Attack } from '../attack.ts'
import { attempt, control, givenFor, HOST, hastyRuntime, scenario, startStage, witnessOf } from '../stage.ts'

/** TLS sessions that outlive what they were made under: who resumes shows no certificate, and is judged by none. */
export const reuse: readonly Attack[] = [
  {
    id: 'L26',
    group: 'connections',
    title: 'Resumes the session of a key whose pin was removed since',
    codes: ['ERR_TRUST_PIN_MISMATCH'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const [stolen, next] = [world.ca.issue({ names: [HOST] }), world.ca.issue({ names: [HOST] })]
        const pins: Record<string, readonly string[]> = { [HOST]: [stolen.pin] }
        const repository = await createTestRepository({ hosts: { [HOST]: [stolen.pin] } })
        const identity = world.ca.issue({ names: ['localhost'] })
        const host = await keep(startManifestServer({ files: repository, identity }))
        const stage = await startStage(keep, stolen, { handler: closing })
        const { runtime, skip } = hastyRuntime()
        const manifest = { url: host.url, root: repository.root, memoryOnly: true }
        const open = await keep(contender.open(givenFor(world, [], { pins, pinfetch: { manifest, runtime } })))
        await open.client?.ready()
        for (let round = 0; round < 2; round += 1) await control(open, stage.url) // a session, and its first use
        pins[HOST] = [next.pin]
        await repository.publish({ hosts: { [HOST]: [next.pin] } })
        skip(REFRESH_GAP_MS)
        await open.client?.manifest.refresh()
        const attack = await attempt(open, stage.url, witnessOf(stage))
        stage.peer.setIdentity(next)
        return { attack, control: await control(open, stage.url) }
      }),
  },
  {
    id: 'L27',
    group: 'connections',
    title: 'Resumes, under another port of the host, a session that a neighbour was given',
    codes: ['ERR_TRUST_UNKNOWN_ISSUER'],
    beatsFetch: false,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const ticketKeys = Buffer.from(systemRuntime.random(48)) // of the terminator that both are behind
        const neighbour = await startStage(keep, genuine, { handler: closing, ticketKeys })
        const forged = world.untrustedCa.issue({ names: [HOST] })
        const attacker = await startStage(keep, forged, { handler: closing, ticketKeys })
        const open = await keep(contender.open(givenFor(world, [genuine.pin])))
        const accepted = await control(open, neighbour.url)
        return { attack: await attempt(open, attacker.url, witnessOf(attacker)), control: accepted }
      }),
  },
]

/** Ends the connection with the response, so that the next request makes a handshake. */
const closing: TestHandler = (_, response) => response.writeHead(200, { connection: 'close' }).end('ok')

const REFRESH_GAP_MS = 1_000 // a client asks no more often than once a second
