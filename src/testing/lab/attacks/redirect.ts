import { createServer } from 'node:http'
import { closeServer, listen } from '../../loopback.ts'
import type { TestHandler } from '../../tls-server.ts'
import type { Attack } from '../attack.ts'
import { attempt, control, givenFor, HOST, scenario, startStage, type Witness, witnessOf } from '../stage.ts'

/** Answers that send the client elsewhere, with what it meant for the server alone. */
export const redirect: readonly Attack[] = [
  {
    id: 'L30',
    group: 'connections',
    title: 'Redirects from https to http, where everybody reads along',
    codes: ['ERR_POLICY_PLAINTEXT', 'ERR_POLICY_REDIRECT'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        let octets = 0
        const plain = createServer((request, response) => {
          octets += request.socket.bytesRead
          response.end('read')
        })
        const port = await listen(plain)
        await keep({ close: () => closePlain() })
        const closePlain = (): Promise<void> => {
          plain.closeAllConnections()
          return closeServer(plain, [])
        }
        const { url } = await startStage(keep, genuine, { handler: to(`http://${HOST}:${port}/`) })
        const open = await keep(contender.open(givenFor(world, [genuine.pin], { pinfetch: { redirect: EVERYWHERE } })))
        const witness: Witness = {
          octets: () => octets,
          clientCertificates: () => 0,
          idle: async () => undefined,
        }
        const attack = await attempt(open, `${url}away`, witness, { headers: { 'x-api-key': 'secret' } })
        return { attack, control: await control(open, url) }
      }),
  },
  {
    id: 'L31',
    group: 'connections',
    title: 'Redirects to another origin, and the credentials and the body after it',
    codes: ['ERR_POLICY_REDIRECT', 'ERR_POLICY_REDIRECT_BODY'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const thief = await startStage(keep, genuine)
        const { url } = await startStage(keep, genuine, { handler: to(thief.url) })
        const open = await keep(contender.open(givenFor(world, [genuine.pin], { pinfetch: { redirect: EVERYWHERE } })))
        const init = { method: 'POST', body: 'secret', headers: { 'x-api-key': 'secret' } }
        const attack = await attempt(open, `${url}away`, witnessOf(thief), init)
        return { attack, control: await control(open, url, init) }
      }),
  },
]

/** 307 keeps method and body. */
const to = (location: string): TestHandler => {
  return ({ path }, response) => {
    if (path === '/away') response.writeHead(307, { location }).end()
    else response.end('ok')
  }
}

const EVERYWHERE = { follow: [`${HOST}:*`] }
