import { createClient } from '../client/create-client.ts'
import { allowTls12, allowUnpinned } from '../dangerous/index.ts'
import { overlaps, parseHostPattern } from '../encoding/host-pattern.ts'
import { CODES } from '../errors/codes.ts'
import { certSpotter } from '../monitor/issuance/certspotter.ts'
import { crtSh } from '../monitor/issuance/crtsh.ts'
import type { UnexpectedIssuance } from '../monitor/issuance/issuance.ts'
import type { IssuanceEvent, IssuanceOptions, KnownPins } from '../monitor/issuance/options.ts'
import { rfc6962Log } from '../monitor/issuance/rfc6962-log.ts'
import { baseUrlOf, type IssuanceSource } from '../monitor/issuance/source.ts'
import { staticLog } from '../monitor/issuance/static-log.ts'
import { checkIssuances, type IssuanceReport, watchIssuances } from '../monitor/issuance/watch.ts'
import { raceSignal } from '../ports/signals.ts'
import { keepProcessAlive, systemRuntime } from '../ports/system.ts'
import { anchorsFrom } from './chain.ts'
import { readBytes, readIfPresent } from './files.ts'
import { type Io, type Paint, printable } from './io.ts'
import { locationOf, walkAsStranger, withMirror } from './manifest-verify.ts'
import { type Failure, numberOf, type Outcome, UsageError } from './outcome.ts'
import { counted, dateOf, table } from './text.ts'

export interface CtWatchOptions {
  readonly pins?: readonly string[]
  readonly manifest?: string
  readonly root?: string
  readonly source?: readonly ('certspotter' | 'crtsh')[]
  readonly baseUrl?: string
  readonly tokenEnv?: string
  readonly log?: string
  readonly logApi?: 'static' | 'rfc6962'
  readonly logKey?: string
  readonly logOrigin?: string
  readonly logFrom?: string
  readonly cursor?: string
  readonly exact?: boolean
  readonly interval?: string
  readonly once?: boolean
  readonly ca?: string
  readonly json?: boolean
}

/** Asks who knows what was issued for the domains, once or for good. */
export async function ctWatch(
  domains: readonly string[],
  options: CtWatchOptions,
  io: Io,
  paint: Paint,
): Promise<Outcome> {
  const pins = await knownPins(domains, options, io)
  const intervalMs = numberOf('--interval', options.interval, { otherwise: 60 }) * 60_000
  const sources = await sourcesOf(options, io)
  const client = createClient({
    pins: NO_HOST, // there is no client without a policy: this one is of a name that cannot be
    unlistedHosts: sources.hosts.map((host) => allowUnpinned(host, { reason: REASON })),
    tls12Hosts: sources.hosts.map((host) => allowTls12(host, { reason: REASON })),
    ...(options.ca === undefined ? {} : { anchors: await pemOf(options.ca) }),
  })
  const watched: IssuanceOptions = {
    domains,
    includeSubdomains: options.exact !== true,
    pins,
    sources: sources.all,
    fetch: client.fetch,
    ...(options.cursor === undefined ? {} : { cursor: options.cursor }),
  }
  try {
    if (options.once !== true) return await watchOn({ ...watched, intervalMs }, options, io, paint)
    const report = await checkIssuances({ ...watched, ...(io.signal === undefined ? {} : { signal: io.signal }) })
    return outcomeOf(report, domains, sources, paint)
  } finally {
    await client.destroy()
  }
}

function outcomeOf(report: IssuanceReport, domains: readonly string[], sources: Sources, paint: Paint): Outcome {
  const { unexpected, failures } = report
  const failure = failureOf(report)
  return {
    data: { domains, sources: sources.all.map(({ name }) => name), unexpected: unexpected.map(dataOf), failures },
    text:
      unexpected.length === 0
        ? [
            `${domains.join(', ')}: nothing new that is unexpected, of ${sources.all.map(({ name }) => name).join(', ')}`,
          ]
        : table(unexpected.map((one) => rowOf(one, paint))),
    notes: [noteOf(sources)],
    warnings: failures.map(({ source, code, message }) => `${code}  ${printable(`${source}: ${message}`)}`),
    ...(failure === undefined ? {} : { failure }),
  }
}

/** An alert first: that a source is down is the lesser news. */
function failureOf({ unexpected, failures }: IssuanceReport): Failure | undefined {
  const [alert] = unexpected
  if (alert !== undefined) {
    const code = 'ERR_MONITOR_UNEXPECTED_CERTIFICATE'
    const more = unexpected.length > 1 ? `, and ${unexpected.length - 1} more` : ''
    const message = `${alert.names[0] ?? ''}: issued by ${alert.issuer} with the key ${alert.spki}${more}`
    return { code, message: printable(message), hint: CODES[code].fix }
  }
  const [failed] = failures
  return failed && { code: failed.code, message: printable(failed.message), hint: CODES[failed.code].fix }
}

/** Until somebody ends it. With --json one line for each event, as it comes. */
async function watchOn(
  watched: Parameters<typeof watchIssuances>[0],
  { json }: CtWatchOptions,
  io: Io,
  paint: Paint,
): Promise<Outcome> {
  const onEvent = (event: IssuanceEvent): void => {
    if (json === true) io.stdout.write(`${JSON.stringify({ schema: EVENT_SCHEMA, event: eventDataOf(event) })}\n`)
    const line = event.type === 'ct.unexpected' ? rowOf(event, paint).join('  ') : failedLine(event)
    ;(json === true || event.type !== 'ct.unexpected' ? io.stderr : io.stdout).write(`${line}\n`)
  }
  const release = keepProcessAlive()
  const watch = watchIssuances({ ...watched, onEvent })
  try {
    io.stderr.write(`watching ${watched.domains.join(', ')}; interrupt to end\n`)
    await raceSignal(new Promise<never>(() => {}), io.signal)
    return { data: {}, text: [] }
  } finally {
    await watch.close()
    release()
  }
}

const failedLine = ({ source, code, message, retryAfterMs }: Extract<IssuanceEvent, { type: 'ct.watchFailed' }>) =>
  `warning  ${code}  ${printable(`${source}: ${message}`)}  again in ${counted(Math.ceil(retryAfterMs / 60_000), 'minute')}`

const rowOf = ({ names, spki, issuer, notBefore, source }: UnexpectedIssuance, paint: Paint): readonly string[] => [
  paint.red('unexpected'),
  printable(names.slice(0, 5).join(' ')),
  spki === '' ? 'key unreadable' : spki,
  printable(issuer),
  dateOf(notBefore),
  source,
]

const dataOf = (event: UnexpectedIssuance) => ({
  ...event,
  notBefore: dateOf(event.notBefore),
  notAfter: dateOf(event.notAfter),
})

const eventDataOf = (event: IssuanceEvent) => (event.type === 'ct.unexpected' ? dataOf(event) : event)

/** Of the hosts at, below or above the domains: a partner's key is none of ours. Read anew for each look. */
async function knownPins(domains: readonly string[], options: CtWatchOptions, io: Io): Promise<KnownPins> {
  const { pins, manifest, root, ca } = options
  if ((pins === undefined) === (manifest === undefined)) {
    const hint = 'Keys that are not known cannot be told from strangers’: --pins sha256/…, or --manifest with --root.'
    throw new UsageError('give either --pins or --manifest', hint)
  }
  if (manifest === undefined) return pins ?? []
  if (root === undefined)
    throw new UsageError('--manifest needs --root', 'Give the root.json that the application ships.')
  const anchor = await readBytes(root)
  const watched = domains.flatMap((domain) => parseHostPattern(`**.${domain}`) ?? [])
  let last: readonly string[] | undefined
  const read = async (): Promise<readonly string[]> => {
    const walk = await withMirror(await locationOf(manifest), ca, systemRuntime, (mirror) =>
      walkAsStranger(mirror, anchor, root, systemRuntime, io.signal),
    )
    const hosts = [walk.manifest, walk.canary].flatMap((one) => (one === undefined ? [] : [...one.hosts]))
    return hosts.flatMap(({ host, pins: listed }) => {
      const pattern = parseHostPattern(host)
      const isOurs = pattern !== undefined && watched.some((domain) => overlaps(pattern, domain))
      return isOurs ? listed.map(({ spki }) => spki) : []
    })
  }
  last = await read()
  if (last.length === 0) {
    const hint = 'Give the repository whose hosts are at or below the domains.'
    throw new UsageError(`the manifest has no host of ${domains.join(', ')}`, hint)
  }
  return async () => {
    last = await read().catch(() => last ?? [])
    return last ?? []
  }
}

interface Sources {
  readonly all: readonly IssuanceSource[]
  readonly hosts: readonly string[]
}

async function sourcesOf(options: CtWatchOptions, io: Io): Promise<Sources> {
  const { baseUrl, log } = options
  const named = options.source ?? (log === undefined ? (['certspotter'] as const) : [])
  if (baseUrl !== undefined && named.length !== 1) {
    throw new UsageError('--base-url is of one source', 'Name it: --source certspotter --base-url https://…')
  }
  const base = baseUrl === undefined ? {} : { baseUrl }
  const all = named.map((name) => (name === 'crtsh' ? crtSh(base) : certSpotter({ ...base, ...tokenOf(options, io) })))
  const urls = named.map((name) => baseUrl ?? PUBLIC[name])
  if (log !== undefined) {
    all.push(await logOf(log, options))
    urls.push(log)
  }
  return { all, hosts: [...new Set(urls.map((url) => baseUrlOf(url, '--base-url').hostname.replace(/^\[|\]$/g, '')))] }
}

function tokenOf({ tokenEnv }: CtWatchOptions, { env }: Io): { readonly token?: string } {
  if (tokenEnv === undefined) return {}
  const token = env[tokenEnv]
  if (token !== undefined && token !== '') return { token }
  throw new UsageError(`--token-env ${tokenEnv}: not set`, 'Set the variable to the token for this one command.')
}

async function logOf(url: string, options: CtWatchOptions): Promise<IssuanceSource> {
  const { logApi, logKey, logOrigin, logFrom } = options
  if (logKey === undefined) {
    throw new UsageError('--log needs --log-key', 'Log lists have it as `key`; a log without it could be anybody’s.')
  }
  const file = /^[A-Za-z0-9+/]{80,}={0,2}$/.test(logKey) ? undefined : await readIfPresent(logKey)
  const log = {
    url,
    key: file === undefined ? logKey : Buffer.from(file).toString('latin1'),
    ...(logFrom === undefined ? {} : { from: numberOf('--log-from', logFrom, { least: 0, otherwise: 0 }) }),
  }
  if (logApi !== 'rfc6962') return staticLog(logOrigin === undefined ? log : { ...log, origin: logOrigin })
  if (logOrigin === undefined) return rfc6962Log(log)
  throw new UsageError('--log-origin is of --log-api static', 'A tree head of RFC 6962 names no origin: leave it out.')
}

async function pemOf(path: string): Promise<string> {
  await anchorsFrom(path) // its own word for a file that holds no roots
  return Buffer.from(await readBytes(path)).toString('latin1')
}

const noteOf = ({ hosts }: Sources): string => `note  ${hosts.join(', ')}: ${REASON}`

/** RFC 2606 §2. */
const NO_HOST = { 'none.invalid': [`sha256/${'A'.repeat(43)}=`] } as const
const PUBLIC = { certspotter: 'https://api.certspotter.com/', crtsh: 'https://crt.sh/' } as const
const REASON = 'a public source, asked without pins and over TLS 1.2 if need be; chain and name are checked'
const EVENT_SCHEMA = 'pinfetch/ct-watch-event/v1'
