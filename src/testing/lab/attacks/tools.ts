import { selfSigned } from '../../ca.ts'
import { startRelay } from '../../relay.ts'
import { startTlsServer, type TestHandler, type TestTlsServer } from '../../tls-server.ts'
import type { Attack, AttackResult } from '../attack.ts'
import type { Contender, Given, OpenClient } from '../contenders.ts'
import { type Authority, mitmdump, seenBy } from '../mitmproxy.ts'
import { freePort, freePorts, type RunningProgram, startProgram } from '../programs.ts'
import { sslsplit } from '../sslsplit.ts'
import {
  attempt,
  control,
  givenFor,
  type Keep,
  SECRET,
  scenario,
  urlAt,
  type Witness,
  waitFor,
  wireOf,
} from '../stage.ts'
import { ACCESS_LOGS, identityFiles, type WebServer, webServer } from '../web-servers.ts'
import type { World } from '../world.ts'

/**
 * Programs that others wrote: those made to stand in the middle, and servers as they are everywhere. Each is started once for all
 * contenders, who have a host of their own there; what it logs about that host is the witness, beside the wire.
 */
export const tools: readonly Attack[] = [
  {
    id: 'T01',
    group: 'tools',
    title: 'Puts mitmproxy in the place of the server, under a wrongly trusted CA',
    codes: ['ERR_TRUST_PIN_MISMATCH'],
    needs: ['mitmdump'],
    beatsFetch: true,
    run: (contender, world) =>
      inTheMiddle(contender, world, (origin) => mitmproxyAt(world, 'reverse', world.otherCa.root, inFrontOf(origin))),
  },
  {
    id: 'T02',
    group: 'tools',
    title: 'Puts mitmproxy on the way, as the proxy that everybody has to go through, under a wrongly trusted CA',
    codes: ['ERR_TRUST_PIN_MISMATCH'],
    needs: ['mitmdump'],
    beatsFetch: false, // it goes without the proxy
    run: (contender, world) =>
      scenario(async (keep) => {
        const host = hostOf(contender)
        const url = urlAt(await originOf(world), host)
        const { port, seen } = await mitmproxyAt(world, 'proxy', world.otherCa.root, [])
        const given = givenAt(world, host)
        const proxied = await keep(contender.open({ ...given, proxy: `http://127.0.0.1:${port}` }))
        const sent = await attempt(proxied, url, seen(host))
        const isUnharmed = sent.outcome === 'accepted' && sent.applicationOctets === 0
        const direct = await keep(contender.open(given))
        return { attack: isUnharmed ? { ...sent, outcome: 'unharmed' } : sent, control: await control(direct, url) }
      }),
  },
  {
    id: 'T03',
    group: 'tools',
    title: 'Has mitmproxy mint under the name of the pinned intermediate, and append the certificates of the server',
    codes: ['ERR_TRUST_PIN_MISMATCH'],
    needs: ['mitmdump'],
    beatsFetch: true,
    run: async (contender, world) => {
      const impostor = await world.shared('impostor', async () =>
        // The key identifier is another, or OpenSSL would take this one for the issuer of the genuine server.
        selfSigned({ ca: true, subject: world.ca.issuer.subject }),
      )
      const anchors = `${world.anchors}${impostor.pem}`
      const start = (origin: TestTlsServer) =>
        mitmproxyAt(world, 'confusing', impostor, [...inFrontOf(origin), ...APPENDING])
      return inTheMiddle(contender, world, start, { anchors })
    },
  },
  {
    id: 'T04',
    group: 'tools',
    title: 'Puts sslsplit in the place of the server, under a wrongly trusted CA',
    codes: ['ERR_TRUST_PIN_MISMATCH'],
    needs: ['sslsplit'],
    beatsFetch: true,
    run: (contender, world) =>
      inTheMiddle(contender, world, async (origin) => {
        const start = (port: number) => startProgram('sslsplit', sslsplit(port, world.otherCa.root, origin.port))
        const splitter = await world.shared('sslsplit', () => onFreePort(start))
        return { port: splitter.port, seen: (host) => logged(splitter, 'connections.log', host) }
      }),
  },
  served('T05', 'nginx'),
  served('T06', 'haproxy'),
  served('T07', 'caddy'),
]

/** A program that the client takes for the server. */
interface Middleman {
  readonly port: number
  /** What it logs of the client of this host. */
  readonly seen: (host: string) => Witness
}

async function inTheMiddle(
  contender: Contender,
  world: World,
  start: (origin: TestTlsServer) => Promise<Middleman>,
  more: Partial<Given> = {},
): Promise<AttackResult> {
  return scenario(async (keep) => {
    const host = hostOf(contender)
    const origin = await originOf(world)
    const middleman = await start(origin)
    const open = await keep(contender.open({ ...givenAt(world, host), ...more }))
    return {
      attack: await deceived(keep, open, host, middleman),
      control: await control(open, urlAt(origin, host), SECRET),
    }
  })
}

/** A server with a certificate of a wrongly trusted CA at one port, and one of the pinned CA at another. */
function served(id: string, program: WebServer): Attack {
  return {
    id,
    group: 'tools',
    title: `Serves by ${program} with a certificate that a wrongly trusted CA issued to somebody else`,
    codes: ['ERR_TRUST_PIN_MISMATCH'],
    needs: [program],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const host = hostOf(contender)
        const server = await world.shared(program, async () => {
          const [bad = 0, good = 0] = await freePorts(2)
          const forged = identityFiles(world.otherCa.issue({ names: [EVERY_HOST] }), 'forged')
          const files = { ...identityFiles(world.ca.issue({ names: [EVERY_HOST] })), ...forged }
          const listeners = [{ port: bad, identity: 'forged' }, { port: good }]
          return { ...(await startProgram(program, webServer(program, listeners, files))), bad, good }
        })
        const open = await keep(contender.open(givenAt(world, host)))
        const path = `/forged-${contender.name}`
        const middleman = { port: server.bad, seen: () => logged(server, ACCESS_LOGS[program], path) }
        const attack = await deceived(keep, open, host, middleman, path)
        return { attack, control: await control(open, urlAt({ port: server.good }, host), SECRET) }
      }),
  }
}

/** One request to the program, which a relay reads along as well. */
async function deceived(keep: Keep, open: OpenClient, host: string, { port, seen }: Middleman, path = '/') {
  const relay = await keep(startRelay({ target: { port } }))
  const [log, wire] = [seen(host), wireOf(relay)]
  return attempt(open, new URL(path, urlAt(relay, host)).href, {
    octets: log.octets,
    octetsOnWire: wire.octets,
    clientCertificates: () => log.clientCertificates() + wire.clientCertificates(),
    idle: async () => {
      await wire.idle()
      await log.idle()
    },
  })
}

/** The genuine server, which who stands in the middle passes requests on to. */
const originOf = (world: World): Promise<TestTlsServer> =>
  world.shared('origin', () =>
    startTlsServer({ identity: world.ca.issue({ names: [EVERY_HOST] }), requestCert: true, handler: closing }),
  )

async function mitmproxyAt(world: World, name: string, authority: Authority, flags: readonly string[]) {
  const start = (port: number) => startProgram('mitmdump', mitmdump(port, authority, flags))
  const mitm = await world.shared(`mitmproxy ${name}`, () => onFreePort(start))
  return { port: mitm.port, seen: (host: string) => toldByMitmproxy(mitm, host) }
}

async function onFreePort(start: (port: number) => Promise<RunningProgram>) {
  const port = await freePort()
  return { ...(await start(port)), port }
}

function toldByMitmproxy(mitm: RunningProgram, host: string): Witness {
  const seen = () => seenBy(mitm).filter(({ sni }) => sni === host)
  const has = (...events: readonly string[]) => seen().filter(({ event }) => events.includes(event))
  return {
    octets: () => has('request').length * SECRET_OCTETS,
    clientCertificates: () => seen().reduce((sum, { certificates }) => sum + certificates, 0),
    idle: async () => {
      for (let rounds = 0; rounds < MAX_ROUNDS && has('failed', 'established').length === 0; rounds += 1)
        await waitFor(ROUND_MS)
    },
  }
}

/** By lines of a log; which of them name a client certificate is left to the wire. */
const logged = ({ read }: RunningProgram, log: string, text: string): Witness => ({
  octets: () => (read(log).split(text).length - 1) * SECRET_OCTETS,
  clientCertificates: () => 0,
  idle: async () => undefined,
})

const givenAt = (world: World, host: string): Given => givenFor(world, [], { pins: { [host]: [world.ca.issuer.pin] } })

const hostOf = ({ name }: Contender): string => `${name}.example.com`
const EVERY_HOST = '*.example.com'

const inFrontOf = ({ port }: TestTlsServer): readonly string[] => [
  '--mode',
  `reverse:https://127.0.0.1:${port}`,
  '--set',
  'keep_host_header=true',
]
const APPENDING = ['--set', 'add_upstream_certs_to_client_chain=true']

/** Ends the connection with the response, so that the next request makes a handshake. */
const closing: TestHandler = (_, response) => response.writeHead(200, { connection: 'close' }).end('ok')

const SECRET_OCTETS = String(SECRET.body).length
const ROUND_MS = 50
const MAX_ROUNDS = 100
