import { type Client, createClient } from '../client/create-client.ts'
import { type ClientOptions, resolveOptions } from '../client/options.ts'
import { canonicalHost } from '../encoding/host.ts'
import { hostIndex } from '../encoding/host-pattern.ts'
import { PinfetchError, TrustError } from '../errors/errors.ts'
import type { ClientEvent } from '../events/events.ts'
import { collectEvidence } from '../monitor/evidence/collect.ts'
import { verifyEvidence } from '../monitor/evidence/verify.ts'
import { toHttp } from '../monitor/outlets/http.ts'
import { violationReports } from '../monitor/outlets/reports.ts'
import { testCa } from '../testing/ca.ts'
import { type Interceptor, startInterceptor } from '../testing/interceptor.ts'
import { LOOPBACK } from '../testing/loopback.ts'
import { type Relay, startRelay } from '../testing/relay.ts'
import { startTlsServer, type TestTlsServer } from '../testing/tls-server.ts'
import type { DrillTarget } from './drill-config.ts'
import { counted } from './text.ts'

/** One thing that has to happen when somebody stands in the middle. */
export interface Check {
  readonly what: string
  readonly passed: boolean
  readonly seen: string
}

/**
 * Stands in the middle of a client with these options: an interceptor on loopback mints a certificate for the host under a CA that the
 * client is made to trust, as after a breach of a CA or on a machine of a company. Nothing leaves this machine: every name resolves to
 * loopback, and whatever would report to somebody reports to a collector in this process.
 *
 * @param options Without roads that lead elsewhere: see `withoutRoads`.
 */
export async function runDrill(
  options: ClientOptions,
  target: DrillTarget,
  { contain }: { readonly contain: boolean },
): Promise<readonly Check[]> {
  const closing: (() => Promise<unknown>)[] = []
  const until = async <T extends { readonly close: () => Promise<unknown> }>(started: T | Promise<T>): Promise<T> => {
    const resource = await started
    closing.unshift(resource.close)
    return resource
  }
  try {
    const ca = testCa({ name: 'Drill', intermediates: 0 })
    const genuine = ca.issue({ names: [target.host] })
    const server = await until(startTlsServer({ identity: genuine, requestCert: true }))
    const interceptor = await until(startInterceptor({ target: server, ca, requestCert: true }))
    const relay = await until(
      startRelay({ target: server, ...(target.port === undefined ? {} : { port: target.port }) }),
    )
    const collector = await until(startTlsServer({ identity: ca.issue({ names: [COLLECTOR] }) }))
    const scene: Scene = { url: `https://${target.host}:${relay.port}/`, server, interceptor, relay, collector }

    const mine = onLoopback(options, ca.anchorPem)
    const open = (pins: ClientOptions['pins'] | undefined) =>
      until(createClient(pins === undefined ? mine : alone(mine, pins)))
    const known = pinsInCode(mine, target)
    const accepting = await open({ [target.host]: [...known, genuine.pin] })
    const misled = await open({ [target.host]: [ca.root.pin] })
    const reporter = await until(createClient(onLoopback({ pins: { [COLLECTOR]: [ca.root.pin] } }, ca.anchorPem)))

    const checks = [await isAnswered(accepting, scene)]
    relay.setTarget(interceptor)
    checks.push(await isRead(misled, scene))
    const client = await open(undefined)
    checks.push(...(await isSeen(client, reporter, scene)))
    if (contain) checks.push(...(await isContained(client, scene)))
    return checks
  } finally {
    for (const close of closing) await close()
  }
}

interface Scene {
  readonly url: string
  readonly server: TestTlsServer
  readonly interceptor: Interceptor
  /** Between the client and whoever it reaches. */
  readonly relay: Relay
  readonly collector: TestTlsServer
}

/** The first control: where nobody stands in the middle, nothing is refused. */
async function isAnswered({ fetch }: Client, { url }: Scene): Promise<Check> {
  const answer = await outcomeOf(fetch, url)
  return {
    what: 'control: with these settings, a server of the drill with a pinned key is answered',
    passed: answer.kind === 'answered',
    seen: answer.text,
  }
}

/** The second: the attack is one. */
async function isRead({ fetch }: Client, { url, interceptor }: Scene): Promise<Check> {
  const answer = await outcomeOf(fetch, url)
  const octets = interceptor.applicationBytes
  return {
    what: 'control: whoever accepts the interceptor’s CA is read by it',
    passed: octets > 0,
    seen: octets > 0 ? `it read a request of ${octets} octets` : answer.text,
  }
}

async function isSeen(
  client: Client,
  reporter: Client,
  { url, interceptor, relay, collector }: Scene,
): Promise<Check[]> {
  const rejected: ClientEvent[] = []
  const bundles: string[] = []
  client.on('tls.rejected', (event) => rejected.push(event))
  const evidence = collectEvidence(client, { write: (_, text) => bundles.push(text) })
  const to = (path: string) => ({ url: `https://${COLLECTOR}:${collector.port}/${path}`, fetch: reporter.fetch })
  const outlets = [violationReports(client, to('report')), toHttp(client, to('siem'))]
  const before = { octets: interceptor.applicationBytes, connections: relay.connections.length }
  const identities = interceptor.connections.length

  const answer = await outcomeOf(client.fetch, url)
  await Promise.all([...outlets, evidence].map(({ close }) => close()))

  const octets = interceptor.applicationBytes - before.octets
  const wires = relay.connections.slice(before.connections)
  const encrypted = wires.reduce((sum, { clientToServer }) => sum + clientToServer.applicationData, 0)
  const said = (path: string): readonly string[] =>
    collector.requests.filter((one) => one.path === path).map(({ body }) => Buffer.from(body).toString('utf8'))
  const reports = said('/report')
  const alarms = said('/siem').flatMap(linesOf).filter(isAlarm)
  return [
    { what: `refused with ${EXPECTED}`, passed: answer.code === EXPECTED, seen: answer.text },
    {
      what: 'nothing of the request and no client certificate reached the interceptor',
      passed: wires.length > 0 && octets === 0 && encrypted === 0 && interceptor.connections.length === identities,
      seen:
        wires.length === 0
          ? 'no connection was made'
          : `${counted(octets, 'octet')} read; on the wire ${counted(encrypted, 'encrypted record')} from the client`,
    },
    {
      what: 'one event tls.rejected',
      passed: rejected.length === 1 && isOf(rejected[0], EXPECTED),
      seen: rejected.length === 0 ? 'none' : rejected.map((event) => ('code' in event ? event.code : '')).join(', '),
    },
    {
      what: 'one report of the violated pin at a collector',
      passed: reports.length === 1 && reports[0]?.includes('served-certificate-chain') === true,
      seen: counted(reports.length, 'report'),
    },
    {
      what: 'one alarm for a SIEM (OCSF 2004)',
      passed: alarms.length === 1,
      seen: counted(alarms.length, 'alarm'),
    },
    judgedAgain(bundles),
  ]
}

/** What is kept proves later, to somebody else, what happened. */
function judgedAgain(bundles: readonly string[]): Check {
  const what = 'one bundle of evidence, which gives the same code again, offline'
  const [bundle] = bundles
  if (bundle === undefined || bundles.length > 1)
    return { what, passed: false, seen: counted(bundles.length, 'bundle') }
  try {
    const { again, differences } = verifyEvidence(Buffer.from(bundle))
    const passed = again?.code === EXPECTED && differences.length === 0
    return { what, passed, seen: [`${again?.code ?? again?.outcome ?? 'not judged'}`, ...differences].join('; ') }
  } catch (error) {
    if (!(error instanceof PinfetchError)) throw error
    return { what, passed: false, seen: `${error.code}: ${error.message}` }
  }
}

async function isContained(client: Client, { url, relay }: Scene): Promise<Check[]> {
  const containment = client.contain(new URL(url).host, 'a drill')
  const connections = relay.connections.length
  const during: Outcome[] = []
  for (let count = 0; count < CONTAINED_CALLS; count += 1) during.push(await outcomeOf(client.fetch, url))
  const more = relay.connections.length - connections
  await containment.done
  containment.release('the drill is over')
  const after = await outcomeOf(client.fetch, url)
  return [
    {
      what: `contained: every further call ends with ${CONTAINED}, before any connection`,
      passed: more === 0 && during.every(({ code }) => code === CONTAINED),
      seen: `${[...new Set(during.map(({ text }) => text))].join('; ')}; ${counted(more, 'connection')}`,
    },
    { what: 'released: calls are judged by pins again', passed: after.code === EXPECTED, seen: after.text },
  ]
}

interface Outcome {
  readonly kind: 'answered' | 'refused'
  /** Of a refusal: what the pins say comes first, whatever else is wrong. */
  readonly code?: string
  readonly text: string
}

async function outcomeOf(fetch: typeof globalThis.fetch, url: string): Promise<Outcome> {
  try {
    const response = await fetch(url, { headers: { connection: 'close' } })
    await response.body?.cancel()
    return { kind: 'answered', text: `answered with ${response.status}` }
  } catch (error) {
    if (!(error instanceof PinfetchError)) throw error
    const findings = error instanceof TrustError ? error.findings.map(({ code }) => code) : []
    const [message = ''] = error.message.split('\n')
    return {
      kind: 'refused',
      code: findings.find((code) => code === EXPECTED) ?? error.code,
      text: `${error.code}: ${message}`,
    }
  }
}

/** Every name leads to this machine, and the CA of the drill is trusted beside those that are. */
function onLoopback(options: ClientOptions, anchorPem: string): ClientOptions {
  const { anchors = 'bundled', hostAnchors } = options
  return {
    ...options,
    resolver: async () => [LOOPBACK],
    anchors: [anchors, anchorPem].flat(),
    ...(hostAnchors === undefined
      ? {}
      : {
          hostAnchors: Object.fromEntries(
            Object.entries(hostAnchors).map(([host, sources]) => [host, [sources, anchorPem].flat()]),
          ),
        }),
  }
}

/** The same settings with pins of the drill’s own in place of manifest and pins. */
function alone({ manifest: _, ...rest }: ClientOptions, pins: NonNullable<ClientOptions['pins']>): ClientOptions {
  return { ...rest, pins }
}

function pinsInCode(options: ClientOptions, { host }: DrillTarget): readonly string[] {
  const find = hostIndex(resolveOptions(options).pins.map((entry) => [entry.pattern, entry] as const))
  const canonical = canonicalHost(host)
  return (canonical === undefined ? undefined : find(canonical)?.pins.slice(0, MAX_PINS - 1)) ?? []
}

const linesOf = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '')
/** Of this refusal: a manifest that asks for what it may not have is told of as well. */
const isAlarm = (line: string): boolean =>
  (JSON.parse(line) as { readonly class_uid?: unknown }).class_uid === 2004 && line.includes(EXPECTED)
const isOf = (event: ClientEvent | undefined, code: string): boolean =>
  event?.type === 'tls.rejected' && (event.code === code || event.findings.some((finding) => finding.code === code))

const EXPECTED = 'ERR_TRUST_PIN_MISMATCH'
const CONTAINED = 'ERR_POLICY_CONTAINED'
const COLLECTOR = 'collector.pinfetch-drill.example'
const CONTAINED_CALLS = 3
const MAX_PINS = 16
