import { startInterceptor } from '../../interceptor.ts'
import { startProxy } from '../../proxy.ts'
import { startTlsServer } from '../../tls-server.ts'
import type { Attack, Attempt } from '../attack.ts'
import type { OpenClient } from '../contenders.ts'
import { asAttempt, control, ended, givenFor, HOST, scenario, urlAt } from '../stage.ts'

/** Proxies that were asked for a tunnel. */
export const proxy: readonly Attack[] = [
  {
    id: 'L33',
    group: 'connections',
    title: 'Opens the tunnel that a proxy was asked for to itself, and mints a certificate of a trusted CA',
    codes: ['ERR_TRUST_PIN_MISMATCH'],
    beatsFetch: false,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const server = await keep(startTlsServer({ identity: genuine }))
        const reader = await keep(startInterceptor({ target: server, ca: world.otherCa, requestCert: true }))
        const [hostile, honest] = [await keep(startProxy({ targetOf: () => reader })), await keep(startProxy())]
        const openBy = (url: string) => keep(contender.open(givenFor(world, [genuine.pin], { proxy: url })))
        const attack = await throughProxy(await openBy(hostile.url), urlAt(server), () => reader.applicationBytes)
        return { attack, control: await control(await openBy(honest.url), urlAt(server)) }
      }),
  },
  {
    id: 'L34',
    group: 'connections',
    title: 'Sends bytes of its own right behind the answer to CONNECT, in front of what the server says',
    codes: ['ERR_TRANSPORT_PROXY_EARLY_BYTES'],
    beatsFetch: false,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const server = await keep(startTlsServer({ identity: genuine }))
        let octets = 0
        const hostile = await keep(
          startProxy({
            answer: (socket) => {
              socket.on('data', (chunk: Buffer) => {
                octets += chunk.length
              })
              socket.write('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nevil!')
            },
          }),
        )
        const honest = await keep(startProxy())
        const openBy = (url: string) => keep(contender.open(givenFor(world, [genuine.pin], { proxy: url })))
        const attack = await throughProxy(await openBy(hostile.url), urlAt(server), () => octets)
        return { attack, control: await control(await openBy(honest.url), urlAt(server)) }
      }),
  },
]

/** A client that goes without the proxy is not reached by who runs it: it is unharmed. */
async function throughProxy(open: OpenClient, url: string, octets: () => number): Promise<Attempt> {
  const ending = await ended(open.fetch(url))
  const isReached = octets() > 0 || ending.text === 'evil!'
  return {
    ...asAttempt(ending),
    ...(ending.isAnswered && !isReached ? { outcome: 'unharmed' } : {}),
    applicationOctets: octets(),
  }
}
