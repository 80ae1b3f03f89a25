import { findPosture } from '../client/posture.ts'
import type { Diagnosis } from './doctor.ts'

/** What a machine and its process bring along. */
export interface Machine {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Node's own, from the command line; those of NODE_OPTIONS are read from `env`. */
  readonly flags: readonly string[]
  /** `20.19.0`. */
  readonly node: string
  readonly openssl: string
  /** Whether the hybrid of X25519 and ML-KEM-768 is offered. */
  readonly hasHybrid: boolean
  /** Addresses of this machine, by interface; its own loopback left out. */
  readonly interfaces: readonly { readonly name: string; readonly address: string }[]
  readonly now: number
}

/** Pure: what of it weakens TLS, or will soon. Values of variables stay out: a proxy's may carry a password. */
export function examineSurroundings(machine: Machine): readonly Diagnosis[] {
  return [
    ...environment(machine),
    nodeRelease(machine),
    { severity: 'ok', subject: 'OpenSSL', message: machine.openssl },
    keyExchange(machine),
    egress(machine),
  ]
}

function environment({ env, flags }: Machine): readonly Diagnosis[] {
  const given = [...new Set([...flags, ...(env['NODE_OPTIONS'] ?? '').split(/\s+/)])]
  const found: Diagnosis[] = findPosture({ env, flags: given, replaced: [] }).map(({ subject, effect }) => ({
    severity: 'warning',
    subject,
    message: `set; on this library ${effect}`,
    fix: `Unset ${subject}: other TLS clients of the process follow it.`,
  }))
  if (given.includes('--insecure-http-parser')) {
    found.push({
      severity: 'warning',
      subject: '--insecure-http-parser',
      message: 'set; node:http accepts messages that two readers read differently (RFC 9112 §11.2)',
      fix: 'Remove the flag.',
    })
  }
  return found.length > 0 ? found : [{ severity: 'ok', subject: 'environment', message: 'nothing in it weakens TLS' }]
}

/** A release past its end is no error: this package runs on it, and what it lacks is unknown until something is found. */
function nodeRelease({ node, now }: Machine): Diagnosis {
  const subject = `Node ${node}`
  const end = END_OF_LIFE[Number(node.split('.')[0])]
  if (end === undefined) {
    const lines = Object.entries(END_OF_LIFE).flatMap(([line, until]) => (now < Date.parse(until) ? [line] : []))
    const fix = `Use a release with long-term support: ${lines.join(', ')}.`
    return { severity: 'warning', subject, message: 'no release with long-term support that is known here', fix }
  }
  const endsAt = Date.parse(end)
  if (endsAt - now >= SOON_MS) return { severity: 'ok', subject, message: `supported until ${end}` }
  const message =
    endsAt <= now ? `its end of life was ${end}; this package still runs on it` : `its end of life is ${end}`
  const fix = 'Move to a newer release: after its end, fixes of TLS and OpenSSL no longer come.'
  return { severity: 'warning', subject, message, fix }
}

function keyExchange({ hasHybrid }: Machine): Diagnosis {
  const subject = 'key exchange'
  if (hasHybrid) return { severity: 'ok', subject, message: 'X25519MLKEM768 is offered first' }
  const message = 'no hybrid with ML-KEM-768: what is recorded today may be read one day'
  return { severity: 'info', subject, message, fix: 'Use Node 22.20, 24.7 or later, whose OpenSSL has it.' }
}

function egress({ interfaces }: Machine): Diagnosis {
  const message = interfaces.map(({ name, address }) => `${name} ${address}`).join(', ')
  if (message === '') return { severity: 'info', subject: 'egress', message: 'no interface but loopback' }
  return { severity: 'info', subject: 'egress', message }
}

/** https://github.com/nodejs/Release/blob/main/schedule.json, `end` of each release with long-term support. */
const END_OF_LIFE: Readonly<Record<number, string>> = {
  20: '2026-04-30',
  22: '2027-04-30',
  24: '2028-04-30',
  26: '2029-04-30',
}
const SOON_MS = 120 * 86_400_000
