import { ManifestError } from '../errors/errors.ts'
import { fetchDocument } from '../manifest/fetch-document.ts'
import { readStatus } from '../manifest/payload.ts'
import { MAX_STATUS_BYTES } from '../manifest/sizes.ts'
import type { Mirror } from '../manifest/sources.ts'
import { parseEnvelope } from '../manifest/verify.ts'
import { type Runtime, toUnixMs } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import { type Lapse, lapsesOf, type ShownCertificate } from '../publisher/lapses.ts'
import { anchorsFrom } from './chain.ts'
import { readBytes } from './files.ts'
import type { Io, Paint } from './io.ts'
import { lookAtAll } from './look.ts'
import { instantOf } from './manifest-simulate.ts'
import { givenLocation, rootPath, walkAsStranger, withMirror } from './manifest-verify.ts'
import { contentIn } from './next-documents.ts'
import type { Failure, Outcome } from './outcome.ts'
import { counted, dateOf, fromNow, table } from './text.ts'
import type { Walk } from './walk.ts'

export interface MonitorOptions {
  readonly dir?: string
  readonly url?: string
  readonly root?: string
  readonly ca?: string
  readonly connect?: boolean
  readonly at?: string
  readonly failOn?: 'warn'
}

/** Reads what is published as a client does, and says what lapses when. */
export async function monitor(options: MonitorOptions, io: Io, paint: Paint): Promise<Outcome> {
  const location = givenLocation(options.url, options)
  const anchorPath = rootPath(options)
  const anchor = await readBytes(anchorPath)
  const now = instantOf(options.at, io.now())
  const walk = await withMirror(location, options.ca, runtimeAt(now), (mirror) =>
    walkEvenExpired(mirror, { anchor, path: anchorPath, now }, io),
  )
  const { certificates, warnings } = await certificatesOf(walk, options, io)
  const lapses = lapsesOf(walk, certificates, now)
  const failure = failureOf(lapses, now)
  const counts = { lapsed: 0, warn: 0, ok: 0 }
  for (const { level } of lapses) counts[level] += 1
  return {
    data: {
      at: dateOf(now),
      lapses: lapses.map((lapse) => ({ ...lapse, at: dateOf(lapse.at), in: fromNow(lapse.at, now) })),
      counts,
    },
    text: table(
      lapses.map(({ what, subject, at, level, effect }) => [
        { ok: 'ok', warn: paint.yellow('warn'), lapsed: paint.red('lapsed') }[level],
        dateOf(at),
        fromNow(at, now),
        what === subject ? what : `${what}  ${subject}`,
        effect,
      ]),
    ),
    warnings: [
      ...lapses.filter(({ level }) => level === 'warn').map((lapse) => sentence(lapse, now)),
      ...warnings,
      ...walk.warnings,
    ],
    failOnWarnings: options.failOn === 'warn',
    next: nextStep(lapses),
    ...(failure === undefined ? {} : { failure }),
  }
}

/** What has expired is what one wants to read about: then as of the day on which the status was signed. */
export async function walkEvenExpired(
  mirror: Mirror,
  { anchor, path, now }: { readonly anchor: Uint8Array; readonly path: string; readonly now: number },
  io: Io,
): Promise<Walk> {
  const walkAt = (time: number) => walkAsStranger(mirror, anchor, path, runtimeAt(time), io.signal)
  try {
    return await walkAt(now)
  } catch (error) {
    if (!(error instanceof ManifestError) || !error.code.endsWith('_EXPIRED')) throw error
    const where = { document: 'status', source: `${mirror.name} status.json` } as const
    const signal = io.signal ?? new AbortController().signal
    const answer = await fetchDocument(
      mirror,
      { path: 'status.json', where, maxBytes: MAX_STATUS_BYTES, signal },
      runtimeAt(now),
    )
    const { payload } = parseEnvelope(answer.bytes, where)
    return walkAt(readStatus(payload, {}).issuedAt) // verified there
  }
}

async function certificatesOf(
  { manifest }: Walk,
  { connect, ca }: MonitorOptions,
  io: Io,
): Promise<{ readonly certificates: readonly ShownCertificate[]; readonly warnings: readonly string[] }> {
  if (connect !== true) return { certificates: [], warnings: [] }
  const hosts = contentIn(manifest)?.hosts ?? []
  const { chains, warnings } = await lookAtAll({ hosts }, await anchorsFrom(ca), io)
  const certificates = chains.map(({ host, port, notBefore, notAfter }) => ({
    host: port === 443 ? host : `${host}:${port}`,
    notBefore,
    notAfter,
  }))
  return { certificates, warnings }
}

function failureOf(lapses: readonly Lapse[], now: number): Failure | undefined {
  const lapsed = lapses.filter(({ level }) => level === 'lapsed')
  const [first] = lapsed
  if (first === undefined) return undefined
  const more = lapsed.length > 1 ? `, and ${counted(lapsed.length - 1, 'more lapse')}` : ''
  return { code: first.code, message: `${sentence(first, now)}${more}`, hint: nextStep(lapses) }
}

const sentence = ({ what, subject, at, effect }: Lapse, now: number): string =>
  `${what === subject ? what : `${what} of ${subject}`}: ${dateOf(at)} (${fromNow(at, now)}), ${effect}`

/** For the first that is due. */
function nextStep(lapses: readonly Lapse[]): string {
  const due =
    lapses.find(({ level }) => level === 'lapsed') ?? lapses.find(({ level }) => level === 'warn') ?? lapses[0]
  return due === undefined ? '' : WHAT_TO_DO[due.what]
}

export const runtimeAt = (now: number): Runtime => ({
  ...systemRuntime,
  clock: { ...systemRuntime.clock, now: () => toUnixMs(now) },
})

const WHAT_TO_DO: Readonly<Record<Lapse['what'], string>> = {
  root: 'pinfetch keys rotate-root --dir <dir>, with the root keys; then: pinfetch manifest publish',
  manifest: 'pinfetch manifest publish --dir <dir> --to <folder>, with the manifest keys',
  status: 'pinfetch manifest heartbeat --dir <dir> --to <folder>; then look at the job that should have run it',
  grace: 'pinfetch manifest heartbeat --dir <dir> --to <folder>; then look at the job that should have run it',
  pin: 'pinfetch manifest add-pin <host> --backup next.pem, or remove-pin for what is over; then: pinfetch manifest publish',
  report: 'pinfetch verify https://<host> …   # would it be refused?',
  legacy: 'move the host to TLS 1.3, or change its sunset in hosts.json and publish',
  review: 'look whether the host speaks TLS 1.3 by now: pinfetch inspect <host>',
  'log-list':
    'pinfetch manifest ct import log_list.json --signature log_list.sig --dir <dir>; then: pinfetch manifest publish',
  certificate: 'renew the certificate of the host; pinfetch rotate <host> if its key changes',
}
