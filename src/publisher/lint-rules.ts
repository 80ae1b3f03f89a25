/** `error` keeps a manifest from being signed and published; `warning` is said. */
export type Severity = 'error' | 'warning'

export interface LintFinding {
  readonly id: LintId
  readonly severity: Severity
  /** Entry or host concerned; absent for the document as a whole. */
  readonly host?: string
  readonly message: string
  /** What to type or to change. */
  readonly fix: string
}

/** Every rule: one spelling, read by the command line, the documentation and the tests. */
export const LINT_RULES = {
  'refused-by-client': 'Every client would refuse the document.',
  'public-suffix': 'A pattern over a public suffix would cover strangers’ hosts.',
  'removes-pin-in-use': 'The server shows a key that was pinned and would be pinned no longer.',
  'pins-nothing-live': 'No active pin of the entry is on the path that the server shows.',
  'no-active-pin': 'Every pin of the entry is denied or outside its window.',
  'exception-over': 'The sunset of a legacy entry lies in the past: every client refuses the host.',
  'blocks-only-live-pin': 'A deny or a revocation would refuse the path that the server shows.',
  'removes-host': 'A host that clients have pins for would have no entry: they refuse what is not listed.',
  'activates-too-soon': 'A change is timed before every client can know of it: five poll intervals.',
  'backup-on-live-chain': 'No pin of an own host is a key in reserve: each stands on the path in use.',
  'break-glass-exceeds': 'A key kept for emergencies may put a host on report for four hours, and nothing else.',
  'drops-deny': 'A deny would be gone from the status: clients that start would not know of it.',
  'undeny-cancels-deny': 'A key is denied and forgiven at once: the manifest’s word wins.',
  'drops-revocation': 'A revocation would be gone, and `unrevoked` does not say that this is meant.',
  'retires-live-key': 'The key in use loses its own pin; another pin on the path keeps the host open.',
  'single-pin': 'One pin: losing its key closes the host.',
  'partner-on-live-chain': 'All pins of a partner’s host are on the path in use: a move to another issuer closes it.',
  'end-entity-only': 'All pins are keys of end entities, where certificates and often their keys change within weeks.',
  'log-list-old': 'The list of transparency logs is older than 35 days, or than the 70 for which clients use it.',
  'log-list-rollback': 'The list of transparency logs is older than the one that clients have.',
  'ends-soon': 'A pin, a certificate, an exception or a document runs out within 30 days.',
  'no-hosts': 'The manifest has no host: clients refuse every request.',
} as const satisfies Readonly<Record<string, string>>

export type LintId = keyof typeof LINT_RULES

export const isLintId = (text: string): text is LintId => Object.hasOwn(LINT_RULES, text)
