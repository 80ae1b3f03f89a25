import { spawn } from 'node:child_process'
import { createClient } from '../client/create-client.ts'
import type { ClientOptions } from '../client/options.ts'
import { allowTls12, allowUnpinned } from '../dangerous/index.ts'
import type { CanonicalOrigin } from '../encoding/host.ts'
import { CODES, type ErrorCode } from '../errors/codes.ts'
import { PinfetchError } from '../errors/errors.ts'
import type { EventOf } from '../events/events.ts'
import type { HandshakeEvent } from '../events/handshake.ts'
import { createAnomalies } from '../monitor/anomalies.ts'
import { createExpiryAlarms, createSeenCertificates, expiriesOf } from '../monitor/expiry.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import { raceSignal } from '../ports/signals.ts'
import { keepProcessAlive, systemRuntime } from '../ports/system.ts'
import { anchorsFrom } from './chain.ts'
import { readBytes } from './files.ts'
import { type Io, type Paint, printable } from './io.ts'
import { exitCodeOf, type Failure, numberOf, type Outcome, UsageError } from './outcome.ts'
import { counted, dateOf, table } from './text.ts'
import { originOf } from './verify-url.ts'

export interface WatchOptions {
  readonly manifest?: string
  readonly root?: string
  readonly ca?: string
  readonly interval?: string
  readonly once?: boolean
  readonly onChange?: string
  readonly failOn?: 'warn'
  readonly json?: boolean
}

/** What a look found of one server. */
interface Found {
  readonly host: string
  readonly verdict: 'trusted' | 'refused' | 'unreachable'
  readonly code?: ErrorCode
  readonly message?: string
  readonly notAfter?: UnixMs
  readonly daysLeft?: number
}

/** Its verdict is another than at the look before; `before` is absent at the first. */
type VerdictChange = Pick<Found, 'host' | 'verdict' | 'code' | 'message'> & {
  readonly type: 'watch.verdict'
  readonly before?: Found['verdict']
}
type Change = VerdictChange | EventOf<'tls.anomaly'> | EventOf<'expiry.near'>

/**
 * Shakes hands with servers now and then as a client does, sends no request, and tells what is another than at the look before: the
 * verdict, certificate, issuer, anchor or key, and what ends in 30, 14, 7 or 1 days.
 */
export async function watch(hosts: readonly string[], options: WatchOptions, io: Io, paint: Paint): Promise<Outcome> {
  const origins = [...new Map(hosts.map(originOf).map((origin) => [origin.text, origin])).values()]
  const intervalMs = numberOf('--interval', options.interval, { otherwise: 15 }) * 60_000
  const look = createLook(origins, await clientOptionsOf(origins, options), io)
  if (options.once === true) return outcomeOf(await look(), options, paint)
  const release = keepProcessAlive()
  try {
    io.stderr.write(`watching ${origins.map(({ text }) => text).join(', ')}; interrupt to end\n`)
    for (;;) {
      const { found, changes } = await raceSignal(look(), io.signal)
      for (const change of changes) tell(change, options, io, paint)
      if (changes.length === 0) io.stderr.write(`${counted(found.length, 'server')}, nothing new\n`)
      await pause(intervalMs, io)
    }
  } finally {
    release()
  }
}

interface Looked {
  readonly found: readonly Found[]
  readonly changes: readonly Change[]
}

/** A client for each look: it resumes nothing, so that all is shown, and takes the manifest that is published now. */
function createLook(origins: readonly CanonicalOrigin[], options: ClientOptions, io: Io): () => Promise<Looked> {
  const anomaliesOf = createAnomalies()
  const certificates = createSeenCertificates()
  const alarm = createExpiryAlarms()
  const known = new Map<string, Found>()
  return async () => {
    const client = createClient(options)
    const changes: Change[] = []
    client.on('tls.handshake', (event: HandshakeEvent) => {
      certificates.note(event)
      changes.push(...anomaliesOf(event))
    })
    try {
      const answers = await Promise.all(origins.map((origin) => ask(client, origin, io.signal)))
      const now = toUnixMs(io.now())
      const all = certificates.all(now)
      const ends = new Map(expiriesOf(all, now).map((one) => [one.subject, one]))
      for (const { host, verdict, code, message } of answers) {
        const before = known.get(host)
        if (before?.verdict === verdict && before.code === code) continue
        const said = { ...(before && { before: before.verdict }), ...(code && { code }), ...(message && { message }) }
        changes.push({ type: 'watch.verdict', host, verdict, ...said })
      }
      changes.push(...alarm(all, now))
      for (const answer of answers) known.set(answer.host, answer)
      const found = answers.map((answer) => {
        const end = ends.get(answer.host)
        return end === undefined ? answer : { ...answer, notAfter: end.notAfter, daysLeft: end.daysLeft }
      })
      return { found, changes }
    } finally {
      await client.destroy()
    }
  }
}

async function ask(
  client: ReturnType<typeof createClient>,
  { text: host }: CanonicalOrigin,
  signal: AbortSignal | undefined,
): Promise<Found> {
  try {
    const socket = await client.connect(`https://${host}`, signal === undefined ? {} : { signal })
    socket.destroy()
    return { host, verdict: 'trusted' }
  } catch (error) {
    if (!(error instanceof PinfetchError)) throw error
    const { code, message } = error
    const verdict = exitCodeOf(code) === 3 ? 'unreachable' : 'refused'
    return { host, verdict, code, message: printable(message.split('\n')[0] ?? '') }
  }
}

/** By a manifest, or as a stranger without pins. */
async function clientOptionsOf(
  origins: readonly CanonicalOrigin[],
  { manifest, root, ca }: WatchOptions,
): Promise<ClientOptions> {
  if ((manifest === undefined) !== (root === undefined))
    throw new UsageError('--manifest and --root go together', 'Give the root.json that the application ships.')
  await anchorsFrom(ca) // its own word for a file that holds no roots
  const anchors = ca === undefined ? {} : { anchors: Buffer.from(await readBytes(ca)).toString('latin1') }
  if (manifest !== undefined && root !== undefined)
    return { manifest: { url: manifest, root: await readBytes(root), memoryOnly: true }, monitor: false, ...anchors }
  const hosts = [...new Set(origins.map(({ host }) => host))]
  return {
    pins: NO_HOST, // there is no client without a policy: this one is of a name that cannot be
    unlistedHosts: hosts.map((host) => allowUnpinned(host, { reason: REASON })),
    tls12Hosts: hosts.map((host) => allowTls12(host, { reason: REASON })),
    monitor: false,
    ...anchors,
  }
}

function outcomeOf({ found, changes }: Looked, { failOn }: WatchOptions, paint: Paint): Outcome {
  const failure = failureOf(found)
  const near = changes.filter((change) => change.type === 'expiry.near')
  return {
    data: {
      hosts: found.map(({ notAfter, ...one }) => ({ ...one, ...(notAfter && { notAfter: dateOf(notAfter) }) })),
    },
    text: table(
      found.map(({ host, verdict, code = '', notAfter, daysLeft = 0 }) => [
        (verdict === 'trusted' ? paint.green : paint.red)(verdict),
        host,
        notAfter === undefined ? code : `certificate until ${dateOf(notAfter)}, ${counted(daysLeft, 'day')}`,
      ]),
    ),
    warnings: near.map(nearLine),
    failOnWarnings: failOn === 'warn',
    ...(failure === undefined ? {} : { failure }),
  }
}

/** A refusal first: that a server is down is the lesser news. */
function failureOf(found: readonly Found[]): Failure | undefined {
  const failed =
    found.find(({ verdict }) => verdict === 'refused') ?? found.find(({ verdict }) => verdict === 'unreachable')
  if (failed?.code === undefined) return undefined
  return { code: failed.code, message: failed.message ?? failed.host, hint: CODES[failed.code].fix }
}

/** With --json one line for each change, as it comes. */
function tell(change: Change, { json, onChange }: WatchOptions, io: Io, paint: Paint): void {
  const record = JSON.stringify({ schema: EVENT_SCHEMA, event: dataOf(change) })
  if (json === true) io.stdout.write(`${record}\n`)
  ;(json === true ? io.stderr : io.stdout).write(`${lineOf(change, paint)}\n`)
  if (onChange !== undefined && !isAllWell(change)) runCommand(onChange, record, io)
}

/** That a server is trusted at the first look is no change. */
const isAllWell = (change: Change): boolean =>
  change.type === 'watch.verdict' && change.verdict === 'trusted' && change.before === undefined

/** By the shell; the change comes on standard input alone, so that nothing of a stranger's is ever part of a command. */
function runCommand(command: string, record: string, { stderr }: Io): void {
  const failed = (why: string): void => void stderr.write(`warning  --on-change: ${printable(why)}\n`)
  const child = spawn(command, { shell: true, stdio: ['pipe', 2, 2], timeout: COMMAND_MS })
  child.on('error', (error) => failed(error.message))
  child.on('exit', (code, signal) => code !== 0 && failed(`ended with ${code ?? signal}`))
  child.stdin?.on('error', () => undefined) // it need not read
  child.stdin?.end(`${record}\n`)
}

const dataOf = (change: Change): object =>
  change.type === 'expiry.near' ? { ...change, notAfter: dateOf(change.notAfter) } : change

function lineOf(change: Change, paint: Paint): string {
  switch (change.type) {
    case 'watch.verdict': {
      const word = (change.verdict === 'trusted' ? paint.green : paint.red)(change.verdict)
      return [word, change.host, change.message ?? ''].join('  ').trimEnd()
    }
    case 'tls.anomaly':
      return `${paint.yellow(change.kind)}  ${change.host}  ${printable(`${change.before} -> ${change.after}`)}`
    case 'expiry.near':
      return `${paint.yellow('ends')}  ${nearLine(change)}`
  }
}

const nearLine = ({ what, subject, notAfter, daysLeft }: EventOf<'expiry.near'>): string =>
  `${subject}: ${what} until ${dateOf(notAfter)}, ${counted(daysLeft, 'day')}`

async function pause(ms: number, { wait, signal }: Io): Promise<void> {
  if (wait !== undefined) await raceSignal(wait(ms), signal)
  else await raceSignal(new Promise<void>((resolve) => void systemRuntime.schedule(ms, resolve)), signal)
}

/** RFC 2606 §2. */
const NO_HOST = { 'none.invalid': [`sha256/${'A'.repeat(43)}=`] } as const
const REASON = 'looked at by pinfetch watch without pins; chain and name are checked, and nothing is sent'
const EVENT_SCHEMA = 'pinfetch/watch-event/v1'
const COMMAND_MS = 60_000
