import type { CodeIn } from '../errors/codes.ts'
import { type ManifestDetails, ManifestError, type ManifestErrorKind } from '../errors/errors.ts'

export type DocumentName = 'root' | 'status' | 'manifest' | 'blob'
export type ManifestCode = CodeIn<'MANIFEST'>

/** Which document, of which version, from where: what every refusal says beside its code. */
export interface Where {
  readonly document: DocumentName
  readonly version?: number
  readonly source?: string
}

/** The error for a refused document; its `kind` follows from the code, its message starts with what was refused. */
export function refusal(
  code: ManifestCode,
  where: Where,
  message: string,
  details: Omit<ManifestDetails, 'kind' | 'document' | 'version' | 'source'> = {},
): ManifestError {
  const name = where.version === undefined ? where.document : `${where.document} ${where.version}`
  return new ManifestError(code, `${name}: ${message}`, { ...details, ...where, kind: KINDS[code] })
}

/**
 * What a refusal asks of its reader. `security`: someone may be tampering. `publisher`: the document was made wrong.
 * `transient`: the next poll may succeed by itself. `clock`: look at this machine's time first. `config`: the wrong root or URL.
 */
const KINDS: Readonly<Record<ManifestCode, ManifestErrorKind>> = {
  ERR_MANIFEST_FETCH_TOO_LARGE: 'security',
  ERR_MANIFEST_FETCH_HTTP: 'transient',
  ERR_MANIFEST_FETCH_TIMEOUT: 'transient',
  ERR_MANIFEST_FETCH_NETWORK: 'transient',
  ERR_MANIFEST_FETCH_ENCODED: 'publisher',
  ERR_MANIFEST_FETCH_REDIRECT: 'publisher',
  ERR_MANIFEST_FETCH_304_WITHOUT_CACHE: 'transient',
  ERR_MANIFEST_ENVELOPE_UTF8: 'transient', // a captive portal or an error page: not a document at all
  ERR_MANIFEST_ENVELOPE_JSON: 'transient',
  ERR_MANIFEST_ENVELOPE_SHAPE: 'publisher',
  ERR_MANIFEST_SIG_HEADER_INVALID: 'publisher',
  ERR_MANIFEST_SIG_HEADER_FORBIDDEN: 'security',
  ERR_MANIFEST_SIG_TYP_MISMATCH: 'security',
  ERR_MANIFEST_SIG_DUPLICATE_KID: 'security',
  ERR_MANIFEST_SIG_ALG_MISMATCH: 'security',
  ERR_MANIFEST_SIG_THRESHOLD: 'security',
  ERR_MANIFEST_PAYLOAD_UTF8: 'publisher',
  ERR_MANIFEST_PAYLOAD_JSON: 'publisher',
  ERR_MANIFEST_PAYLOAD_DUPLICATE_KEY: 'publisher',
  ERR_MANIFEST_PAYLOAD_DEPTH: 'publisher',
  ERR_MANIFEST_PAYLOAD_TYPE: 'security',
  ERR_MANIFEST_SPEC_UNSUPPORTED: 'publisher',
  ERR_MANIFEST_UNKNOWN_CRITICAL_FIELD: 'publisher',
  ERR_MANIFEST_PAYLOAD_SCHEMA: 'publisher',
  ERR_MANIFEST_WRONG_REPO: 'config',
  ERR_MANIFEST_WRONG_ENV: 'config',
  ERR_MANIFEST_ROOT_DUPLICATE_KEY: 'publisher',
  ERR_MANIFEST_ROOT_KEY_ALG: 'publisher',
  ERR_MANIFEST_ROOT_KID_MISMATCH: 'publisher',
  ERR_MANIFEST_ROOT_KEY_UNKNOWN: 'publisher',
  ERR_MANIFEST_ROOT_THRESHOLD_UNREACHABLE: 'publisher',
  ERR_MANIFEST_ROOT_ROLE_OVERLAP: 'publisher',
  ERR_MANIFEST_ROOT_FINGERPRINT: 'config',
  ERR_MANIFEST_ROOT_ROLLBACK: 'security',
  ERR_MANIFEST_ROOT_VERSION_GAP: 'security',
  ERR_MANIFEST_ROOT_EPOCH_ROLLBACK: 'security',
  ERR_MANIFEST_ROOT_CHAIN_TOO_LONG: 'publisher',
  ERR_MANIFEST_ROOT_EXPIRED: 'publisher',
  ERR_MANIFEST_ROOT_UNREADABLE: 'publisher',
  ERR_MANIFEST_ROOT_UNAVAILABLE: 'transient',
  ERR_MANIFEST_CLOCK_SKEW: 'clock',
  ERR_MANIFEST_TIME_INVERTED: 'publisher',
  ERR_MANIFEST_STATUS_EPOCH: 'security',
  ERR_MANIFEST_STATUS_ROLLBACK: 'security',
  ERR_MANIFEST_STATUS_EQUIVOCATION: 'security',
  ERR_MANIFEST_STATUS_EXPIRED: 'publisher',
  ERR_MANIFEST_STATUS_TTL_TOO_LONG: 'publisher',
  ERR_MANIFEST_STATUS_DENY_FORBIDDEN: 'security',
  ERR_MANIFEST_ROLLBACK: 'security',
  ERR_MANIFEST_EQUIVOCATION: 'security',
  ERR_MANIFEST_UNAVAILABLE: 'transient',
  ERR_MANIFEST_LENGTH_MISMATCH: 'security',
  ERR_MANIFEST_HASH_MISMATCH: 'security',
  ERR_MANIFEST_VERSION_MISMATCH: 'security',
  ERR_MANIFEST_EPOCH: 'security',
  ERR_MANIFEST_EXPIRED: 'publisher',
  ERR_MANIFEST_DUPLICATE_HOST: 'publisher',
  ERR_MANIFEST_DUPLICATE_PIN: 'publisher',
  ERR_MANIFEST_NO_BACKUP_PIN: 'publisher',
  ERR_MANIFEST_PIN_WINDOW: 'publisher',
  ERR_MANIFEST_REVOCATION_DROPPED: 'security',
  ERR_MANIFEST_BLOB_UNAVAILABLE: 'transient',
  ERR_MANIFEST_BLOB_LENGTH_MISMATCH: 'security',
  ERR_MANIFEST_BLOB_HASH_MISMATCH: 'security',
  ERR_MANIFEST_LINT: 'publisher',
  ERR_MANIFEST_CACHE_CORRUPT: 'transient',
  ERR_MANIFEST_CACHE_REQUIRED: 'config',
  ERR_MANIFEST_CLOSED: 'config',
}
