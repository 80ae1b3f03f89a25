import type { AdviceFor } from './page.ts'

export const MONITOR_ADVICE: AdviceFor<'MONITOR'> = {
  ERR_MONITOR_EVIDENCE_MALFORMED: [
    'evidence',
    'A wrong file, or one of a newer release; cut short by a full disk it looks the same.',
    'ERR_MONITOR_EVIDENCE_ALTERED',
  ],
  ERR_MONITOR_EVIDENCE_ALTERED: [
    'evidence',
    'An editor that reformatted it, or somebody who wanted it to say something else. A signed copy elsewhere tells.',
    'ERR_MONITOR_EVIDENCE_DIFFERS',
    'ERR_MONITOR_VALIDATION_LOG_ALTERED',
  ],
  ERR_MONITOR_EVIDENCE_DIFFERS: [
    'evidence',
    'A release that judges otherwise: the file names the one that made it. With the same release: its digest was made anew after a change.',
    'ERR_MONITOR_EVIDENCE_ALTERED',
  ],
  ERR_MONITOR_VALIDATION_LOG_ALTERED: [
    'evidence',
    'A process that died in the middle of a line is told apart. What remains is somebody who removed a handshake from the record: compare with the SIEM.',
    'ERR_MONITOR_EVIDENCE_ALTERED',
    'ERR_STORE_EXPOSED',
  ],
  ERR_MONITOR_UNEXPECTED_CERTIFICATE: [
    'issuance',
    'Mostly another team, a CDN or a new hosting contract. Nobody ordered it: somebody could prove control of the name to a CA, over DNS, mail or routing.',
    'ERR_TRUST_PIN_MISMATCH',
    'ERR_TRUST_CERT_REVOKED',
  ],
  ERR_MONITOR_CURSOR_INVALID: [
    'issuanceSource',
    'A crash or a full disk. Somebody who moves the cursor forward makes the watch skip a certificate: compare with the last alert.',
    'ERR_STORE_READ',
    'ERR_MONITOR_DELIVERY_FAILED',
  ],
  ERR_MONITOR_DELIVERY_FAILED: [
    'issuanceSource',
    'The listener’s own fault, in its log. Alerts wait and are told again.',
    'ERR_MONITOR_CURSOR_INVALID',
  ],
  ERR_MONITOR_SOURCE_UNREACHABLE: [
    'issuanceSource',
    'An outage, as public sources have them often. If the cause is a TrustError, somebody may want you not to see.',
    'ERR_MONITOR_SOURCE_STATUS',
    'ERR_TRUST_UNKNOWN_ISSUER',
  ],
  ERR_MONITOR_SOURCE_STATUS: [
    'issuanceSource',
    'An expired token or an outage: the status says which.',
    'ERR_MONITOR_SOURCE_LIMITED',
  ],
  ERR_MONITOR_SOURCE_LIMITED: [
    'issuanceSource',
    'A watch that asks too often, or a token that others use as well.',
    'ERR_MONITOR_SOURCE_STATUS',
  ],
  ERR_MONITOR_SOURCE_REDIRECT: [
    'issuanceSource',
    'A source that moved; its documentation names the new place.',
    'ERR_MONITOR_SOURCE_STATUS',
  ],
  ERR_MONITOR_SOURCE_TOO_LARGE: [
    'issuanceSource',
    'A name with very many certificates, or something that answers in place of the source.',
    'ERR_MONITOR_SOURCE_MALFORMED',
  ],
  ERR_MONITOR_SOURCE_MALFORMED: [
    'issuanceSource',
    'An error page with status 200 while the source is overloaded.',
    'ERR_MONITOR_SOURCE_TOO_LARGE',
  ],
  ERR_MONITOR_LOG_CHECKPOINT: [
    'ctLog',
    'The wrong prefix, mostly: submission in place of monitoring.',
    'ERR_MONITOR_LOG_ORIGIN',
  ],
  ERR_MONITOR_LOG_ORIGIN: [
    'ctLog',
    'A shard of another year, or another log that answers: compare with the log list.',
    'ERR_MONITOR_LOG_SIGNATURE',
  ],
  ERR_MONITOR_LOG_SIGNATURE: [
    'ctLog',
    'A key that was copied wrongly, or a forged tree: with the key of the log list it is the latter.',
    'ERR_MONITOR_LOG_ORIGIN',
    'ERR_MONITOR_LOG_FORKED',
  ],
  ERR_MONITOR_LOG_STALE: [
    'ctLog',
    'A log in trouble, or one that shows you an old tree so that a new certificate stays unseen. Another network tells.',
    'ERR_MONITOR_LOG_SHRUNK',
  ],
  ERR_MONITOR_LOG_SHRUNK: [
    'ctLog',
    'A node that lags, for minutes; else proof that the log broke its promise, or that somebody answers for it.',
    'ERR_MONITOR_LOG_FORKED',
    'ERR_MONITOR_LOG_STALE',
  ],
  ERR_MONITOR_LOG_FORKED: [
    'ctLog',
    'Two signed trees that contradict each other: with both in hand it is proof of misbehaviour, whoever caused it.',
    'ERR_MONITOR_LOG_SHRUNK',
    'ERR_MONITOR_LOG_SIGNATURE',
  ],
  ERR_MONITOR_LOG_TILE: [
    'ctLog',
    'A transfer that broke, once. Again and again: entries that do not belong to what was signed.',
    'ERR_MONITOR_LOG_FORKED',
  ],
}
