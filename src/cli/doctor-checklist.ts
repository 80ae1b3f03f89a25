import type { Diagnosis } from './doctor.ts'

type Grade = 'A' | 'B' | 'C' | 'D' | 'F'
export type CheckId = keyof typeof CHECKLIST

/** A line that lowered the grade, and the best grade that it leaves. */
export interface Lowered {
  readonly id: CheckId
  readonly grade: Grade
}

/** The rule, as it is printed. One weakness counts once, however many lines it has: nothing is added up. */
export const GRADE_RULE =
  'the lowest grade that any line leaves. B: a reserve or an advice is missing. C: a protection is off, or known to be broken. D: clients are refused, or will be. F: somebody in between may read everything. What is ok or only told lowers nothing.'

export function gradeOf(findings: readonly Diagnosis[]): {
  readonly grade: Grade
  readonly lowered: readonly Lowered[]
} {
  const worst = new Map<CheckId, Grade>()
  for (const { id, severity } of findings) {
    if (severity !== 'warning' && severity !== 'error') continue
    const left = capOf(id, severity)
    if (left > (worst.get(id) ?? 'A')) worst.set(id, left)
  }
  const lowered = [...worst].map(([id, grade]) => ({ id, grade })).toSorted((a, b) => b.grade.localeCompare(a.grade))
  return { grade: lowered[0]?.grade ?? 'A', lowered }
}

/** Every check with the worst that was said of it; `null` where nothing was there to look at. */
export function checklistOf(findings: readonly Diagnosis[]) {
  return Object.entries(CHECKLIST).map(([id, { about }]) => {
    const said = findings.filter((finding) => finding.id === id).map(({ severity }) => severity)
    const worst = SEVERITIES.findLast((severity) => said.includes(severity))
    return { id, about, result: worst ?? null }
  })
}

function capOf(id: CheckId, severity: 'warning' | 'error'): Grade {
  const check: Check = CHECKLIST[id]
  return check[severity] ?? (severity === 'error' ? 'D' : 'B')
}

interface Check {
  readonly about: string
  readonly warning?: Grade
  readonly error?: Grade
}

const SEVERITIES: readonly Diagnosis['severity'][] = ['ok', 'info', 'warning', 'error']

/**
 * What doctor looks at. The ids are stable: dashboards compare them from one release to the next. `warning` and `error` are the best
 * grades that are left; without them B and D.
 */
const CHECKLIST = {
  'ENV-TLS': { about: 'no variable or flag weakens TLS for the other clients of the process', warning: 'C' },
  'ENV-ANCHORS': { about: 'no variable or flag adds trust anchors' },
  'ENV-PROXY': { about: 'no variable or flag sends the process through a proxy' },
  'ENV-KEYLOG': { about: 'no flag writes TLS keys to a file', warning: 'C' },
  'ENV-PARSER': { about: 'no flag makes the HTTP parser lenient' },
  'ENV-REPLACED': {
    about: 'nothing has replaced the name check, the dispatcher or the TLS defaults of Node',
    warning: 'C',
  },
  'NODE-EOL': { about: 'the release line of Node still gets fixes' },
  'NODE-CVE': { about: 'no fix of TLS, HTTP, DNS or permissions is missing from this Node', warning: 'C' },
  'NODE-OPENSSL': { about: 'the version of OpenSSL' },
  'NODE-KEX': { about: 'the key exchange withstands a quantum computer' },
  'NODE-ANCHORS': { about: 'what Node trusts by default, and what this library does' },
  'CLOCK-WALL': { about: 'the wall clock is plausible, and runs as fast as the monotonic one' },
  'CLOCK-SIGNED': { about: 'the wall clock is not behind that of who signed the manifest' },
  'CLOCK-SERVER': { about: 'the wall clock agrees with the server’s' },
  'NET-EGRESS': { about: 'the interfaces that connections leave by' },
  'NET-BIND': { about: 'the address that connections are bound to is one of this machine' },
  'NET-PROXY': { about: 'the proxy is meant, and its credentials are not sent in the clear' },
  'CONFIG-REPORT': { about: 'pins are enforced, and not only reported', warning: 'C' },
  'CONFIG-LOOSENED': { about: 'no default is loosened' },
  'CONFIG-ANCHORS': { about: 'the trust anchors of the configuration' },
  'CONFIG-CLIENT': { about: 'a client with the configuration connects to the server', warning: 'C' },
  'PIN-BACKUP': { about: 'each host has a backup pin (RFC 7469 §4.3)' },
  'PIN-EXPIRY': { about: 'the pins hold for the next thirty days' },
  'PIN-DENIED': { about: 'no pinned key is denied' },
  'PIN-LEAF': { about: 'no host hangs on one end-entity key that somebody else may replace' },
  'MANIFEST-FETCH': { about: 'the manifest can be had, and verifies' },
  'MANIFEST-FRESH': { about: 'root, manifest and status are in the first two thirds of their lives' },
  'MANIFEST-CACHE': { about: 'a restart remembers which version of the manifest was seen' },
  'SERVER-PATH': { about: 'the certificates of the server verify up to a trust anchor' },
  'SERVER-EXPIRY': { about: 'the certificate of the server does not end soon' },
  'SERVER-LIFETIME': { about: 'the certificate of the server was issued for no longer than it may be' },
  'SERVER-KEY': { about: 'RSA keys are long enough for as long as their certificates are valid' },
  'SERVER-CHAIN': { about: 'the server sends its path, in order, and nothing else' },
  'SERVER-TLS': { about: 'the server speaks TLS 1.3, and nothing below 1.2' },
  'SERVER-SUITE': { about: 'the server accepts no suite without forward secrecy or AEAD' },
  'SERVER-STAPLE': { about: 'the server staples an OCSP response' },
  'SERVER-HSTS': { about: 'the server asks for https by Strict-Transport-Security' },
  'SERVER-PROXY': { about: 'no proxy answers in place of the server' },
  'SERVER-ANSWER': { about: 'the server answers a HEAD request' },
  INTERCEPTION: { about: 'no interception product stands in between', error: 'F' },
} as const satisfies Readonly<Record<string, Check>>
