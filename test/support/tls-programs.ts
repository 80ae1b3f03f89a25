import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createDiffieHellmanGroup } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { freePort } from './free-port.ts'

/** TLS servers that others wrote and that still speak what Node’s own no longer does. */
export type TlsProgram = 'openssl' | 'gnutls-serv'

export const PROGRAMS: Readonly<Record<TlsProgram, boolean>> = {
  openssl: spawnSync('openssl', ['version']).status === 0,
  'gnutls-serv': spawnSync('gnutls-serv', ['--version']).status === 0,
}
for (const [program, found] of Object.entries(PROGRAMS)) {
  if (!found) process.stderr.write(`not run: the tests with ${program}, which is not installed\n`)
}

export interface RunningProgram {
  readonly port: number
  readonly end: () => Promise<void>
}

/** Starts a server that stays in the foreground. Resolves when it accepts connections. */
export async function startProgram(
  program: TlsProgram,
  argumentsFor: (port: number) => readonly string[],
): Promise<RunningProgram> {
  const port = await freePort()
  const child = spawn(program, argumentsFor(port), { stdio: ['pipe', 'pipe', 'pipe'] })
  const output: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(String(chunk)))
  if (running.size === 0) process.once('exit', killAll)
  running.add(child)
  while (!(await accepts(port))) {
    if (hasEnded(child)) throw new Error(`${program} has ended: ${output.join('')}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  const end = async (): Promise<void> => {
    running.delete(child)
    if (running.size === 0) process.off('exit', killAll)
    if (hasEnded(child)) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  return { port, end }
}

const running = new Set<ChildProcess>()
const killAll = (): void => {
  for (const child of running) child.kill('SIGKILL')
}

/** PEM of the Diffie-Hellman parameters of a well-known group: `modp2` has 1024 bits, `modp14` 2048. */
export function dhParameters(name: 'modp2' | 'modp14'): string {
  const group = createDiffieHellmanGroup(name)
  const integers = Buffer.concat([group.getPrime(), group.getGenerator()].map((value) => tlv(0x02, positive(value))))
  return `-----BEGIN DH PARAMETERS-----\n${tlv(0x30, integers).toString('base64').replace(/.{64}/g, '$&\n')}\n-----END DH PARAMETERS-----\n`
}

const positive = (value: Buffer): Buffer => ((value[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.of(0), value]) : value)

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content
  const header = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(header), content])
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.end())
  })
}
