import { expect, test } from 'vitest'
import { CODES } from '../../src/errors/codes.ts'
import { type ManifestCode, refusal } from '../../src/manifest/refusal.ts'

/** What each kind asks of its reader, and the causes that ask for it. */
const CAUSES = {
  /** Somebody may be tampering. */
  security:
    'FETCH_TOO_LARGE SIG_HEADER_FORBIDDEN SIG_TYP_MISMATCH SIG_DUPLICATE_KID SIG_ALG_MISMATCH SIG_THRESHOLD PAYLOAD_TYPE ' +
    'ROOT_ROLLBACK ROOT_VERSION_GAP ROOT_EPOCH_ROLLBACK STATUS_EPOCH STATUS_ROLLBACK STATUS_EQUIVOCATION ' +
    'STATUS_DENY_FORBIDDEN ROLLBACK EQUIVOCATION LENGTH_MISMATCH HASH_MISMATCH VERSION_MISMATCH EPOCH ' +
    'REVOCATION_DROPPED BLOB_LENGTH_MISMATCH BLOB_HASH_MISMATCH',
  /** Whoever publishes made the document wrong, or late. */
  publisher:
    'FETCH_ENCODED FETCH_REDIRECT ENVELOPE_SHAPE SIG_HEADER_INVALID PAYLOAD_UTF8 PAYLOAD_JSON PAYLOAD_DUPLICATE_KEY ' +
    'PAYLOAD_DEPTH SPEC_UNSUPPORTED UNKNOWN_CRITICAL_FIELD PAYLOAD_SCHEMA ROOT_DUPLICATE_KEY ROOT_KEY_ALG ' +
    'ROOT_KID_MISMATCH ROOT_KEY_UNKNOWN ROOT_THRESHOLD_UNREACHABLE ROOT_ROLE_OVERLAP ROOT_CHAIN_TOO_LONG ROOT_EXPIRED ' +
    'ROOT_UNREADABLE TIME_INVERTED STATUS_EXPIRED STATUS_TTL_TOO_LONG EXPIRED DUPLICATE_HOST DUPLICATE_PIN ' +
    'NO_BACKUP_PIN PIN_WINDOW LINT',
  /** The next poll may succeed by itself. */
  transient:
    'FETCH_HTTP FETCH_TIMEOUT FETCH_NETWORK FETCH_304_WITHOUT_CACHE ENVELOPE_UTF8 ENVELOPE_JSON ROOT_UNAVAILABLE ' +
    'UNAVAILABLE BLOB_UNAVAILABLE CACHE_CORRUPT',
  /** The time of this machine comes first. */
  clock: 'CLOCK_SKEW',
  /** The wrong root or URL, or a client that was closed. */
  config: 'WRONG_REPO WRONG_ENV ROOT_FINGERPRINT CACHE_REQUIRED CLOSED',
} as const

const kinds = Object.entries(CAUSES).flatMap(([kind, causes]) =>
  causes.split(' ').map((cause): [ManifestCode, string] => [`ERR_MANIFEST_${cause}` as ManifestCode, kind]),
)

test.each(kinds)('%s is of the kind %s', (code, kind) => {
  expect(refusal(code, { document: 'status' }, '')).toMatchObject({ code, kind })
})

test('every code of a manifest has a kind', () => {
  const codes = Object.keys(CODES).filter((code) => code.startsWith('ERR_MANIFEST_'))
  expect(kinds.map(([code]) => code).sort()).toEqual(codes.sort())
})

test('a refusal says first which document it is about, and its version where that is known', () => {
  const cause = new Error('offline')
  const known = refusal('ERR_MANIFEST_EPOCH', { document: 'manifest', version: 7, source: 'a' }, 'is old', { cause })
  expect(known).toMatchObject({ document: 'manifest', version: 7, source: 'a', message: 'manifest 7: is old', cause })
  const unknown = refusal('ERR_MANIFEST_ENVELOPE_JSON', { document: 'root' }, 'not JSON')
  expect(unknown).toMatchObject({ document: 'root', message: 'root: not JSON' })
  expect(unknown.version).toBeUndefined()
})
