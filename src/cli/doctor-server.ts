import { parseHsts } from '../client/hsts.ts'
import { bootstrapPolicy } from '../client/policies.ts'
import { canonicalOrigin } from '../encoding/host.ts'
import { PinfetchError } from '../errors/errors.ts'
import type { EventOf } from '../events/events.ts'
import { systemRuntime } from '../ports/system.ts'
import { PinnedDispatcher } from '../transport/dispatcher.ts'
import { requestFailure } from '../transport/failure.ts'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS } from '../transport/limits.ts'
import { type AnchorSet, bundledAnchors } from '../trust/anchors.ts'
import type { CertificationPath } from '../trust/path/path.ts'
import { type ClientVerdict, findingsOf } from './as-client.ts'
import { type Judgement, placeAll } from './chain.ts'
import type { Diagnosis } from './doctor.ts'
import { examineKeys, examineLifetime } from './doctor-certificates.ts'
import { examineChain, examineExpiry } from './doctor-chain.ts'
import type { ExaminedConfig } from './doctor-config.ts'
import { examineInterception } from './doctor-interception.ts'
import { examineMatch } from './doctor-pins.ts'
import { probeWeaknesses } from './doctor-protocols.ts'
import { type Io, printable } from './io.ts'
import { UsageError } from './outcome.ts'
import { seeServer } from './server.ts'

/**
 * What one look and one HEAD request show of a server. The request carries no credential, and goes to a verified server alone:
 * by its path, and by each configuration that was given.
 *
 * @param ca Roots to verify with. Default: those of the first configuration, else Node's.
 */
export async function examineServer(
  url: URL,
  ca: AnchorSet | undefined,
  configs: readonly ExaminedConfig[],
  io: Io,
): Promise<readonly Diagnosis[]> {
  const origin = canonicalOrigin(url)
  if (origin === undefined) throw new UsageError(`${url.host}: no host`, 'Give https://api.example.com')
  const anchors = ca ?? configs[0]?.anchorsFor(origin.host) ?? bundledAnchors()
  const { presented, judgement } = await seeServer(origin, { anchors, sni: undefined }, io)
  const verdicts: Diagnosis[] = []
  for (const { path, judge, pinsFor } of configs) {
    const verdict = await judge(origin)
    verdicts.push(...asConfigured(path, verdict), ...examineMatch(origin.text, pinsFor(origin), verdict.chain))
  }
  const isRefused = judgement.findings.length > 0 || verdicts.some(({ severity }) => severity === 'error')
  const answer = isRefused ? undefined : await ask(url, anchors, io.signal)
  const listed = configs.flatMap(({ interceptionFor }) => interceptionFor(origin.host))
  return [
    ...verdictOf(origin.text, judgement),
    ...verdicts,
    ...placeAll(presented, judgement.path).map((placed) => examineExpiry(placed, io.now())),
    ...examineCertificates(judgement.path, anchors),
    ...examineChain(presented, judgement.path),
    ...(await probeWeaknesses(origin, io.signal)),
    ...examineInterception(presented, judgement, listed),
    ...(answer === undefined ? [] : examineAnswer(answer, io.now())),
  ]
}

/** Pure. Without a path the findings say what is wrong. */
function examineCertificates(path: CertificationPath | undefined, anchors: AnchorSet): readonly Diagnosis[] {
  if (path === undefined) return []
  const { certificates } = path
  const anchor = certificates.at(-1)
  return [examineLifetime(certificates[0], anchor !== undefined && anchors.isPublic(anchor)), ...examineKeys(path)]
}

/** Pure. */
function asConfigured(path: string, verdict: ClientVerdict): readonly Diagnosis[] {
  const id = 'CONFIG-CLIENT'
  const subject = `with ${path}`
  if (verdict.kind === 'trusted' && verdict.reported.length === 0) {
    return [{ id, severity: 'ok', subject, message: 'a client connects' }]
  }
  const findings = verdict.kind === 'trusted' ? verdict.reported : findingsOf(verdict.error)
  return findings.map(({ code, message }): Diagnosis => {
    const fix = `pinfetch explain ${code}`
    if (verdict.kind === 'trusted') {
      return { id, severity: 'warning', subject, message: `let through by report mode: ${message} (${code})`, fix }
    }
    return { id, severity: 'error', subject, message: `a client refuses: ${message} (${code})`, fix }
  })
}

interface ServerAnswer {
  readonly connected?: EventOf<'tls.connected'>
  readonly stapled: boolean
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly refusal?: PinfetchError
}

async function ask(url: URL, anchors: AnchorSet, signal: AbortSignal | undefined): Promise<ServerAnswer> {
  let connected: EventOf<'tls.connected'> | undefined
  let stapled = false
  const dispatcher = new PinnedDispatcher({
    runtime: systemRuntime,
    emit: (event) => {
      if (event.type === 'tls.connected') connected = event
      if (event.type === 'revocation.checked') stapled = event.source === 'staple'
    },
    hasListeners: () => true,
    timeouts: { ...DEFAULT_TIMEOUTS, headersMs: TIMEOUT_MS, bodyMs: TIMEOUT_MS },
    limits: DEFAULT_LIMITS,
    policyOf: (origin) => bootstrapPolicy(origin, [], anchors),
  })
  const seen = () => ({ ...(connected === undefined ? {} : { connected }), stapled })
  try {
    const { headers, body } = await dispatcher.request({
      origin: url.origin,
      path: url.pathname, // a query may carry a token
      method: 'HEAD',
      ...(signal === undefined ? {} : { signal }),
    })
    await body.dump()
    return { ...seen(), headers }
  } catch (error) {
    const refusal = requestFailure(error, url.host)
    if (refusal instanceof PinfetchError) return { ...seen(), headers: {}, refusal }
    throw refusal
  } finally {
    await dispatcher.destroy()
  }
}

function verdictOf(host: string, { path, findings }: Judgement): readonly Diagnosis[] {
  const anchor = path?.certificates.at(-1)?.subject.text ?? ''
  if (findings.length === 0)
    return [{ id: 'SERVER-PATH', severity: 'ok', subject: host, message: `verifies up to ${anchor}` }]
  return findings.map(({ code, message }) => ({
    id: 'SERVER-PATH',
    severity: 'error',
    subject: host,
    message: `${message} (${code})`,
    fix: `pinfetch explain ${code}`,
  }))
}

/** Pure. */
function examineAnswer(answer: ServerAnswer, now: number): readonly Diagnosis[] {
  const { connected, stapled, headers, refusal } = answer
  const found: Diagnosis[] = []
  if (connected !== undefined) {
    const { protocol, cipher, group = 'group unknown' } = connected
    found.push({ id: 'SERVER-TLS', severity: 'ok', subject: 'connection', message: `${protocol}, ${cipher}, ${group}` })
    found.push(
      stapled
        ? { id: 'SERVER-STAPLE', severity: 'ok', subject: 'OCSP', message: 'a response is stapled' }
        : {
            id: 'SERVER-STAPLE',
            severity: 'info',
            subject: 'OCSP',
            message: 'no response is stapled',
            fix: 'Where the CA answers OCSP, have the server staple: clients then ask nobody else.',
          },
    )
  }
  if (refusal !== undefined) {
    const [message = ''] = refusal.message.split('\n')
    const id = refusal.code.startsWith('ERR_TLS_') ? 'SERVER-TLS' : 'SERVER-ANSWER'
    return [
      ...found,
      { id, severity: 'error', subject: refusal.code, message, fix: `pinfetch explain ${refusal.code}` },
    ]
  }
  return [...found, hsts(fieldOf(headers, 'strict-transport-security')), ...proxies(headers), ...clock(headers, now)]
}

function hsts(field: string | undefined): Diagnosis {
  const id = 'SERVER-HSTS'
  const subject = 'Strict-Transport-Security'
  const fix = 'On the server: Strict-Transport-Security: max-age=31536000 (RFC 6797)'
  if (field === undefined) return { id, severity: 'warning', subject, message: 'missing', fix }
  const policy = parseHsts(field)
  if (policy === undefined) return { id, severity: 'warning', subject, message: 'not as RFC 6797 §6.1 writes it', fix }
  if (policy.maxAgeSeconds > 0) return { id, severity: 'ok', subject, message: `max-age=${policy.maxAgeSeconds}` }
  return { id, severity: 'warning', subject, message: 'max-age=0 switches it off', fix }
}

function proxies(headers: ServerAnswer['headers']): readonly Diagnosis[] {
  return PROXY_FIELDS.flatMap((name): Diagnosis[] => {
    const field = fieldOf(headers, name)
    if (field === undefined) return []
    const message = `a proxy or gateway answered: ${printable(field.slice(0, MAX_SHOWN))}`
    return [
      {
        id: 'SERVER-PROXY',
        severity: 'warning',
        subject: name,
        message,
        fix: 'If nobody put it there on purpose, find out who did.',
      },
    ]
  })
}

function clock(headers: ServerAnswer['headers'], now: number): readonly Diagnosis[] {
  const date = Date.parse(fieldOf(headers, 'date') ?? '')
  if (Number.isNaN(date)) return []
  const seconds = Math.round((now - date) / 1_000)
  const message = `${Math.abs(seconds)} s ${seconds < 0 ? 'behind' : 'ahead of'} the server’s Date`
  const size = Math.abs(seconds)
  const id = 'CLOCK-SERVER'
  if (size <= 60) return [{ id, severity: 'ok', subject: 'clock', message }]
  const fix = 'Set the clock: certificates, manifests and tokens are judged by it.'
  return [{ id, severity: size > 300 ? 'error' : 'warning', subject: 'clock', message, fix }]
}

function fieldOf(headers: ServerAnswer['headers'], name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.join(', ')
}

const PROXY_FIELDS = ['via', 'x-forwarded-for', 'x-forwarded-by', 'forwarded', 'x-cache']
const MAX_SHOWN = 200
const TIMEOUT_MS = 10_000
