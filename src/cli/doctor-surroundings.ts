import { findPosture } from '../client/posture.ts'
import type { Diagnosis } from './doctor.ts'
import type { CheckId } from './doctor-checklist.ts'
import { examineNode } from './doctor-node.ts'
import { KNOWN_UNTIL } from './node-releases.ts'
import { counted, dateOf } from './text.ts'

/** What a machine and its process bring along. */
export interface Machine {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Node's own, from the command line; those of NODE_OPTIONS are read from `env`. */
  readonly flags: readonly string[]
  /** What was replaced of Node, as `surroundings` says it. */
  readonly replaced: readonly string[]
  /** `20.19.0`. */
  readonly node: string
  readonly openssl: string
  /** Whether the hybrid of X25519 and ML-KEM-768 is offered. */
  readonly hasHybrid: boolean
  /** Roots that Node ships, and those that it trusts by default besides; `undefined` where it does not tell. */
  readonly anchors: { readonly bundled: number; readonly added: number | undefined }
  /** Addresses of this machine, by interface; its own loopback left out. */
  readonly interfaces: readonly { readonly name: string; readonly address: string }[]
  readonly now: number
  /** How much further the wall clock went than the monotonic one while the command ran, in milliseconds. */
  readonly driftMs: number
}

/** Pure: what of it weakens TLS, or will soon. Values of variables stay out: a proxy's may carry a password. */
export function examineSurroundings(machine: Machine): readonly Diagnosis[] {
  return [
    ...environment(machine),
    ...examineNode(machine.node, machine.now),
    { id: 'NODE-OPENSSL', severity: 'ok', subject: 'OpenSSL', message: machine.openssl },
    keyExchange(machine),
    anchors(machine),
    wallClock(machine),
    egress(machine),
  ]
}

function environment({ env, flags, replaced }: Machine): readonly Diagnosis[] {
  const given = [...new Set([...flags, ...(env['NODE_OPTIONS'] ?? '').split(/\s+/)])]
  const found: Diagnosis[] = findPosture({ env, flags: given, replaced }).map(({ subject, effect }) => ({
    id: checkOf(subject),
    severity: 'warning',
    subject,
    message: `set; on this library ${effect}`,
    fix: replaced.includes(subject)
      ? 'Find the module that replaces it: other TLS clients of the process follow it.'
      : `Unset ${subject}: other TLS clients of the process follow it.`,
  }))
  if (given.includes('--insecure-http-parser')) {
    found.push({
      id: 'ENV-PARSER',
      severity: 'warning',
      subject: '--insecure-http-parser',
      message: 'set; node:http accepts messages that two readers read differently (RFC 9112 §11.2)',
      fix: 'Remove the flag.',
    })
  }
  if (found.length > 0) return found
  return [{ id: 'ENV-TLS', severity: 'ok', subject: 'environment', message: 'nothing in it weakens TLS' }]
}

function checkOf(subject: string): CheckId {
  return CHECKS.find(([pattern]) => pattern.test(subject))?.[1] ?? 'ENV-REPLACED'
}

function keyExchange({ hasHybrid }: Machine): Diagnosis {
  const id = 'NODE-KEX'
  const subject = 'key exchange'
  if (hasHybrid) return { id, severity: 'ok', subject, message: 'X25519MLKEM768 is offered first' }
  const message = 'no hybrid with ML-KEM-768: what is recorded today may be read one day'
  return { id, severity: 'info', subject, message, fix: 'Use Node 22.20, 24.7 or later, whose OpenSSL has it.' }
}

function anchors({ anchors: { bundled, added }, env }: Machine): Diagnosis {
  const isExtra = (env['NODE_EXTRA_CA_CERTS'] ?? '') !== ''
  const more =
    added === undefined ? (isExtra ? 'more of NODE_EXTRA_CA_CERTS' : 'none known besides') : `${added} besides`
  const message = `Node trusts the ${counted(bundled, 'root')} that it ships, and ${more}; this library the former alone, unless \`anchors\` says otherwise`
  return { id: 'NODE-ANCHORS', severity: added === 0 ? 'ok' : 'info', subject: 'trust anchors', message }
}

function wallClock({ now, driftMs }: Machine): Diagnosis {
  const id = 'CLOCK-WALL'
  const subject = 'wall clock'
  const fix = 'Set the clock, and keep it by NTP: certificates, manifests and tokens are judged by it.'
  if (now < MADE_AT || now > MADE_AT + LIFE_MS) {
    const message = `${dateOf(now)}, but this version was made after ${KNOWN_UNTIL}, and not ${LIFE_YEARS} years ago`
    return { id, severity: 'error', subject, message, fix }
  }
  if (Math.abs(driftMs) > MAX_DRIFT_MS) {
    const seconds = Math.round(Math.abs(driftMs) / 1_000)
    const message = `it was set ${seconds} s ${driftMs > 0 ? 'forward' : 'back'} while this ran`
    return { id, severity: 'warning', subject, message, fix }
  }
  return { id, severity: 'ok', subject, message: `${dateOf(now)}, plausible, and as fast as the monotonic one` }
}

function egress({ interfaces }: Machine): Diagnosis {
  const message = interfaces.map(({ name, address }) => `${name} ${address}`).join(', ') || 'no interface but loopback'
  return { id: 'NET-EGRESS', severity: 'info', subject: 'egress', message }
}

/** By the names of variables and flags; what else `findPosture` names was replaced by a module. */
const CHECKS: readonly (readonly [RegExp, CheckId])[] = [
  [/^--tls-keylog$/, 'ENV-KEYLOG'],
  [
    /^(NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|SSL_CERT_DIR|NODE_USE_SYSTEM_CA|--use-openssl-ca|--use-system-ca)$/,
    'ENV-ANCHORS',
  ],
  [/(_PROXY|-proxy)$/, 'ENV-PROXY'],
  [/^(NODE_TLS_REJECT_UNAUTHORIZED|OPENSSL_CONF|--tls-.+|--openssl-.+)$/, 'ENV-TLS'],
]
const MADE_AT = Date.parse(KNOWN_UNTIL)
const LIFE_YEARS = 15
const LIFE_MS = LIFE_YEARS * 365 * 86_400_000
const MAX_DRIFT_MS = 30_000 // a slow machine takes seconds between two readings of two clocks, not half a minute
