import { createDiffieHellmanGroup } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { allowTls12 } from '../../../dangerous/index.ts'
import { closeServer, listen } from '../../loopback.ts'
import { type Relay, startRelay } from '../../relay.ts'
import type { Attack, Attempt } from '../attack.ts'
import type { Contender } from '../contenders.ts'
import { type Files, freePorts, startProgram } from '../programs.ts'
import {
  attempt,
  control,
  givenFor,
  HOST,
  type Keep,
  scenario,
  startStage,
  urlAt,
  wireOf,
  witnessOf,
  worstOf,
} from '../stage.ts'
import type { World } from '../world.ts'

const WHY = { reason: 'the suite is what is attacked here, not the version' }

/** Everything weaker than what was agreed on: versions, suites, no TLS at all, another protocol inside. */
export const downgrade: readonly Attack[] = [
  {
    id: 'L28',
    group: 'connections',
    title: 'Speaks SSL 3.0, TLS 1.0, 1.1 or 1.2 with the pinned certificate',
    codes: ['ERR_TLS_VERSION'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const given = givenFor(world, [genuine.pin])
        const old = await startStage(keep, genuine, { maxVersion: 'TLSv1.2' })
        const attempts = [await attempt(await keep(contender.open(given)), old.url, witnessOf(old))]
        for (const hello of OLD_HELLOS) {
          const relay = await startAnswering(keep, hello)
          attempts.push(await attempt(await keep(contender.open(given)), urlAt(relay), wireOf(relay)))
        }
        const { url } = await startStage(keep, genuine)
        const accepted = await control(await keep(contender.open(given)), url)
        return { attack: worstOf({ codes: ['ERR_TLS_VERSION'] }, attempts), control: accepted }
      }),
  },
  {
    id: 'L29',
    group: 'connections',
    title: 'Offers static RSA, CBC, DHE with 1024 bits, no encryption, RC4 or 3DES with the pinned certificate',
    codes: ['ERR_TLS_HANDSHAKE'],
    needs: ['openssl', 'gnutls-serv'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const server = world.ca.issue({ names: [HOST], keyType: 'RSA-2048' })
        const files = { 'chain.pem': server.pem + world.ca.issuer.pem, 'key.pem': server.keyPem, 'dh.pem': dh1024() }
        const given = givenFor(world, [server.pin], { pinfetch: { tls12Hosts: [allowTls12(HOST, WHY)] } })
        const attempts: Attempt[] = []
        for (const port of await weakServers(keep, files)) {
          const relay = await keep(startRelay({ target: { port } }))
          attempts.push(await attempt(await keep(contender.open(given)), urlAt(relay), wireOf(relay), GET))
        }
        const { url } = await startStage(keep, server, {
          maxVersion: 'TLSv1.2',
          ciphers: 'ECDHE-RSA-AES128-GCM-SHA256',
        })
        const accepted = await control(await keep(contender.open(given)), url)
        return { attack: worstOf({ codes: ['ERR_TLS_HANDSHAKE'] }, attempts), control: accepted }
      }),
  },
  {
    id: 'L32',
    group: 'connections',
    title: 'Answers a ClientHello with plain HTTP',
    codes: ['ERR_TLS_HANDSHAKE'],
    beatsFetch: false,
    run: (contender, world) =>
      scenario(async (keep) => {
        const given = givenFor(world, [world.ca.issuer.pin])
        const relay = await startAnswering(keep, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
        const attack = await attempt(await keep(contender.open(given)), urlAt(relay), wireOf(relay))
        return { attack, control: await genuineControl(keep, contender, world) }
      }),
  },
  {
    id: 'L35',
    group: 'connections',
    title: 'Takes HTTP/2 out of what the server offers (ALPN)',
    codes: ['ERR_TLS_ALPN'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const attacked = await startStage(keep, genuine, { alpn: ['http/1.1'] })
        const open = await keep(contender.open(givenFor(world, [genuine.pin], { pinfetch: { http2: 'require' } })))
        const attack = await attempt(open, attacked.url, witnessOf(attacked))
        const lax = await keep(contender.open(givenFor(world, [genuine.pin], { pinfetch: { http2: 'prefer' } })))
        return { attack, control: await control(lax, attacked.url) }
      }),
  },
]

async function genuineControl(keep: Keep, contender: Contender, world: World): Promise<Attempt> {
  const genuine = world.ca.issue({ names: [HOST] })
  const { url } = await startStage(keep, genuine)
  return control(await keep(contender.open(givenFor(world, [world.ca.issuer.pin]))), url)
}

/** A server that says the same to everybody, whatever it was told. */
async function startAnswering(keep: Keep, answer: string | Buffer): Promise<Relay> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('data', () => socket.end(answer))
  })
  const port = await listen(server)
  await keep({ close: () => closeServer(server, sockets) })
  return keep(startRelay({ target: { port } }))
}

/** All at once, and at which ports. */
async function weakServers(keep: Keep, files: Files): Promise<readonly number[]> {
  const ports = await freePorts(WEAK_SUITES.length)
  await Promise.all(
    WEAK_SUITES.map(([program, ...args], at) => {
      const port = ports[at] ?? 0
      return keep(startProgram(program, { args: argumentsOf(program, port, args), ports: [port], files }))
    }),
  )
  return ports
}

function argumentsOf(program: string, port: number, more: readonly string[]): readonly string[] {
  return program === 'openssl'
    ? ['s_server', '-accept', `127.0.0.1:${port}`, '-www', '-tls1_2', ...OPENSSL_IDENTITY, ...more]
    : ['--http', '-p', `${port}`, '--x509certfile', 'chain.pem', '--x509keyfile', 'key.pem', '--priority', ...more]
}

/** A ServerHello of this version and a static RSA suite, up to where a client has to have noticed. */
const serverHello = (version: string): Buffer =>
  Buffer.from(`16${version}002a02000026${version}${'5a'.repeat(32)}00002f00`, 'hex')
const OLD_HELLOS = ['0300', '0301', '0302'].map(serverHello)

/** What `s_server -www` answers. */
const GET: RequestInit = { headers: { authorization: 'Bearer secret' } }

const OPENSSL_IDENTITY = ['-cert', 'chain.pem', '-cert_chain', 'chain.pem', '-key', 'key.pem']
const anyLevel = (suite: string): readonly string[] => ['-cipher', `${suite}:@SECLEVEL=0`]
const priority = (suite: string): string => `NONE:+VERS-TLS1.2:${suite}:+COMP-NULL:+SIGN-ALL`
const WEAK_SUITES: readonly (readonly ['openssl' | 'gnutls-serv', ...string[]])[] = [
  ['openssl', ...anyLevel('AES128-GCM-SHA256')],
  ['openssl', ...anyLevel('ECDHE-RSA-AES128-SHA')],
  ['openssl', ...anyLevel('DHE-RSA-AES128-GCM-SHA256'), '-dhparam', 'dh.pem'],
  ['openssl', ...anyLevel('NULL-SHA256')],
  ['gnutls-serv', priority('+RSA:+ARCFOUR-128:+MD5')],
  ['gnutls-serv', priority('+ECDHE-RSA:+RSA:+3DES-CBC:+SHA1:+CURVE-ALL')],
]

/** PEM of the second Oakley group (RFC 2409 §6.2): a well-known prime, and too short. */
function dh1024(): string {
  const group = createDiffieHellmanGroup('modp2')
  const prime = Buffer.concat([Buffer.of(2, 0x81, 0x81, 0), group.getPrime()])
  const generator = Buffer.concat([Buffer.of(2, group.getGenerator().length), group.getGenerator()])
  const length = prime.length + generator.length
  const der = Buffer.concat([Buffer.of(0x30, 0x81, length), prime, generator])
  return `-----BEGIN DH PARAMETERS-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END DH PARAMETERS-----\n`
}
