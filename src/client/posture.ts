import { constants } from 'node:crypto'
import tls from 'node:tls'
import { formatHostPattern } from '../encoding/host-pattern.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { ResolvedOptions } from './options.ts'

/** What the process brings along that would weaken a client which does not pass every TLS option itself. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Node's own flags, from the command line and NODE_OPTIONS. */
  readonly flags: readonly string[]
  /** What of Node's process-wide dispatcher, name check, TLS defaults and trust store was replaced. */
  readonly replaced: readonly string[]
}

export interface PostureFinding {
  readonly subject: string
  /** What became of it. */
  readonly effect: string
}

/** Names each attempt to weaken TLS from outside the options. Pure; the effects are what the transport's tests measure. */
export function findPosture(
  { env, flags, replaced }: Surroundings,
  proxy?: ResolvedOptions['proxy'],
): readonly PostureFinding[] {
  const findings: PostureFinding[] = []
  const ofProxies = proxy?.isFromEnvironment === true ? PROXY_ASKED_FOR : PROXY
  for (const [name, effect] of Object.entries(VARIABLES)) {
    if ((env[name] || env[name.toLowerCase()] || '') === '') continue
    findings.push({ subject: name, effect: effect === PROXY && FOLLOWED.has(name) ? ofProxies : effect })
  }
  for (const given of flags) {
    const flag = given.replace(/^--[^=]+/, (name) => name.replaceAll('_', '-')) // Node takes either
    const known = FLAGS.find(([prefix]) => flag === prefix || flag.startsWith(`${prefix}=`))
    if (known !== undefined) findings.push({ subject: known[0], effect: known[1] })
  }
  for (const subject of replaced) findings.push({ subject, effect: 'not used by this client' })
  return findings
}

/** Names each option that loosens a default, with the reason its author gave. Pure. */
export function findLoosenings(options: ResolvedOptions, now: UnixMs): readonly PostureFinding[] {
  const { mode, pins, unlistedHosts, tls12Hosts, legacyHosts, manifestMay, proxy } = options
  const isOpenProxy = proxy?.server.credentials !== undefined && proxy.server.scheme !== 'https'
  const reporting = pins.filter((entry) => entry.mode === 'report' && mode === 'enforce')
  return [
    ...(isOpenProxy
      ? [{ subject: proxy.server.text, effect: 'the credentials for this proxy are sent in the clear' }]
      : []),
    ...(mode === 'report' ? [{ subject: 'mode: report', effect: 'pin mismatches are let through' }] : []),
    ...reporting.map(({ pattern }) => ({
      subject: `${formatHostPattern(pattern)}: mode report`,
      effect: 'pin mismatches are let through',
    })),
    ...unlistedHosts.map(({ pattern, reason }) => ({ subject: `${pattern}: unpinned`, effect: `in force: ${reason}` })),
    ...tls12Hosts.map(({ pattern, reason, reviewBy }) => ({
      subject: `${pattern}: TLS 1.2`,
      effect: `in force: ${reason}${reviewOf(reviewBy?.getTime(), now)}`,
    })),
    ...legacyHosts.map(({ pattern, reason, sunset, timeouts }) => ({
      subject: `${pattern}: legacy`,
      effect:
        now < sunset
          ? `in force for ${inDays(sunset - now)}, until ${new Date(sunset).toISOString()}${timeouts === undefined ? '' : ', with longer timeouts'}: ${reason}`
          : `refused: its sunset was ${new Date(sunset).toISOString()}`,
    })),
    ...[...options.revocation.loosened, ...options.transparency.loosened].map(({ subject, mode, reason }) => ({
      subject: `${subject}: ${mode}`,
      effect: `in force: ${reason}`,
    })),
    ...(manifestMay?.loosenings ?? []).map((loosening) => ({
      subject: `manifestMay: ${loosening}`,
      effect: `in force: ${manifestMay?.reason}`,
    })),
  ]
}

/** What is to be said of a review that was promised for a date; nothing before its last thirty days. */
export function reviewOf(reviewBy: number | undefined, now: number): string {
  if (reviewBy === undefined || reviewBy - now > REVIEW_SOON_MS) return ''
  return reviewBy < now ? '; its review is overdue' : `; its review is due in ${inDays(reviewBy - now)}`
}

/** Begun days count. */
export const daysIn = (ms: number): number => Math.max(0, Math.ceil(ms / DAY_MS))

export function inDays(ms: number): string {
  const days = daysIn(ms)
  return days === 1 ? '1 day' : `${days} days`
}

/** Reads the process. Only names leave it, no values: a proxy variable may carry a password. */
export function surroundings(): Surroundings {
  return {
    env: process.env,
    flags: nodeFlags(),
    replaced: [
      ...(isNodesNameCheck(tls.checkServerIdentity) ? [] : ['tls.checkServerIdentity']),
      ...(isNodesDispatcher() ? [] : ['setGlobalDispatcher']),
      ...(/^TLSv1(\.1)?$/.test(tls.DEFAULT_MIN_VERSION) ? ['tls.DEFAULT_MIN_VERSION'] : []),
      ...(tls.DEFAULT_MAX_VERSION === 'TLSv1.3' ? [] : ['tls.DEFAULT_MAX_VERSION']),
      ...(tls.DEFAULT_CIPHERS === constants.defaultCipherList ? [] : ['tls.DEFAULT_CIPHERS']),
      ...(hasReplacedDefaultAnchors() ? ['tls.setDefaultCACertificates'] : []),
    ],
  }
}

/** The function as it was when this module was loaded, and even then only if it can still tell two names apart. */
function isNodesNameCheck(check: typeof tls.checkServerIdentity): boolean {
  if (check !== CHECK_SERVER_IDENTITY) return false
  try {
    return check(STRANGER, NAMED_OTHERWISE) !== undefined
  } catch {
    return false // Node's own returns its error
  }
}

/** Whoever set one of the same class before this module was loaded is not noticed. */
function isNodesDispatcher(): boolean {
  return DISPATCHERS.every(({ symbol, loaded }) => {
    const dispatcher: unknown = Reflect.get(globalThis, symbol)
    return loaded === undefined || (dispatcher === loaded && NODES_DISPATCHERS.has(loaded.constructor.name))
  })
}

/**
 * `tls.setDefaultCACertificates` exists from Node 22.19 and 24.5 on. A default store that lacks a bundled root was replaced;
 * one that holds more was, unless a variable or flag that is named anyway explains it.
 */
function hasReplacedDefaultAnchors(): boolean {
  const { getCACertificates } = tls as { getCACertificates?: (type: 'default' | 'bundled') => readonly string[] }
  if (getCACertificates === undefined || nodeFlags().includes('--use-openssl-ca')) return false
  const active = new Set(getCACertificates('default'))
  const bundled = getCACertificates('bundled')
  if (!bundled.every((pem) => active.has(pem))) return true
  const explained = ['NODE_EXTRA_CA_CERTS', 'NODE_USE_SYSTEM_CA'].some((name) => (process.env[name] ?? '') !== '')
  return active.size > bundled.length && !explained && !nodeFlags().includes('--use-system-ca')
}

const nodeFlags = (): readonly string[] => [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/)]

const DAY_MS = 86_400_000
const REVIEW_SOON_MS = 30 * DAY_MS

const NO_EFFECT = 'no effect: every TLS option is passed explicitly'
const ANCHORS = 'no effect: anchors come from the options or from Node’s bundled roots'
const OPENSSL = 'no effect on what is offered: every TLS option is passed explicitly; engines and providers are loaded'
const PROXY = 'no effect: the option `proxy` alone decides'
const PROXY_ASKED_FOR = 'in force: the option `proxy` asks for the environment'
const FOLLOWED: ReadonlySet<string> = new Set(['HTTPS_PROXY', 'ALL_PROXY'])

const VARIABLES: Readonly<Record<string, string>> = {
  NODE_TLS_REJECT_UNAUTHORIZED: NO_EFFECT,
  NODE_EXTRA_CA_CERTS: ANCHORS,
  SSL_CERT_FILE: ANCHORS,
  SSL_CERT_DIR: ANCHORS,
  HTTPS_PROXY: PROXY,
  HTTP_PROXY: PROXY,
  ALL_PROXY: PROXY,
  NODE_USE_ENV_PROXY: PROXY,
  NODE_USE_SYSTEM_CA: ANCHORS,
  OPENSSL_CONF: OPENSSL,
}

const FLAGS: readonly (readonly [string, string])[] = [
  ['--tls-min-v1.0', NO_EFFECT],
  ['--tls-min-v1.1', NO_EFFECT],
  ['--tls-min-v1.2', NO_EFFECT],
  ['--tls-max-v1.2', NO_EFFECT],
  ['--tls-cipher-list', NO_EFFECT],
  ['--use-openssl-ca', ANCHORS],
  ['--use-system-ca', ANCHORS],
  ['--use-env-proxy', PROXY],
  ['--openssl-config', OPENSSL],
  ['--openssl-shared-config', OPENSSL],
  ['--tls-keylog', 'no effect: the key log of this client’s connections is switched off'],
]

const CHECK_SERVER_IDENTITY = tls.checkServerIdentity
const STRANGER = 'a.invalid'
const NAMED_OTHERWISE = { subject: {}, subjectaltname: 'DNS:b.invalid' } as tls.PeerCertificate

void globalThis.Headers // installs Node's own dispatcher, where nobody has set one
const DISPATCHERS = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2'].map((name) => {
  const symbol = Symbol.for(name)
  return { symbol, loaded: Reflect.get(globalThis, symbol) as object | undefined }
})
const NODES_DISPATCHERS: ReadonlySet<string> = new Set(['Agent', 'Dispatcher1Wrapper']) // the latter from Node 26 on
