import * as entry from 'pinfetch/errors'
import { describe, expect, test } from 'vitest'
import { CODES, type ErrorCode } from '../../src/errors/codes.ts'
import * as errors from '../../src/errors/errors.ts'

/** One class a domain. */
const CLASSES = {
  CONFIG: errors.ConfigurationError,
  TRUST: errors.TrustError,
  TLS: errors.TlsError,
  TRANSPORT: errors.TransportError,
  POLICY: errors.PolicyError,
  MANIFEST: errors.ManifestError,
  STORE: errors.StoreError,
  AUTH: errors.AuthError,
  KEY: errors.KeyError,
  APPROVAL: errors.ApprovalError,
  VERIFY: errors.VerifyError,
  SIGN: errors.SignError,
  RATE: errors.RateError,
  MONITOR: errors.MonitorError,
} as const

const codes = Object.keys(CODES) as ErrorCode[]

test('pinfetch/errors exports the table and every class', () => {
  expect(Object.keys(entry).sort()).toEqual([...Object.keys(errors), 'CODES'].sort())
})

test('every class belongs to one domain, and every domain has a code', () => {
  const concrete = Object.values(errors).filter((value) => value !== errors.PinfetchError)
  expect(new Set(Object.values(CLASSES))).toEqual(new Set(concrete))
  expect(new Set(codes.map(domainOf))).toEqual(new Set(Object.keys(CLASSES)))
})

describe.each(codes)('%s', (code) => {
  test('says what happened and what to do, in sentences of a length somebody reads', () => {
    expect(code).toMatch(/^ERR_(?:[A-Z0-9]+_)+[A-Z0-9]+$/)
    const { about, fix } = CODES[code]
    for (const text of [about, fix]) {
      expect(text.length).toBeGreaterThan(15)
      expect(text.length).toBeLessThanOrEqual(160)
      expect(text).toMatch(/^\S.*[.]$/)
      expect(text).not.toMatch(/\n|ERR_|TODO|see the documentation/i)
    }
    expect(about).toMatch(/^[A-Z]|^(keyUsage|extendedKeyUsage) /)
    expect(about).not.toBe(fix)
  })

  test('is carried by the class of its domain', () => {
    const cause = new Error('the original')
    const Class = classOf(code)
    const error = new Class(code as never, 'message', { kind: 'publisher', cause, host: 'api.example.com' })
    expect(error).toBeInstanceOf(errors.PinfetchError)
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({
      code,
      name: Class.name,
      message: 'message',
      retryable: CODES[code].retryable,
      requestSent: 'no',
      host: 'api.example.com',
      cause,
    })
    expect(Object.keys(new Class(code as never, 'message', { kind: 'publisher' }))).not.toContain('host')
  })
})

test('no two codes say the same', () => {
  const abouts = codes.map((code) => CODES[code].about)
  expect(abouts.filter((about, index) => abouts.indexOf(about) !== index)).toEqual([])
})

test('a trust error holds its findings and its chain, most specific first, and nothing where there is nothing', () => {
  const finding = { code: 'ERR_TRUST_PIN_MISMATCH', certificateIndex: null, message: 'm' } as const
  const entry = { position: 'endEntity', spki: 'sha256/x', subject: 'CN=x', notAfter: 1 } as const
  const details = { findings: [finding], chain: [entry], manifestVersion: 7, requestSent: 'maybe' } as const
  expect(new errors.TrustError('ERR_TRUST_PIN_MISMATCH', 'm', details)).toMatchObject(details)
  expect(new errors.TrustError('ERR_TRUST_PIN_MISMATCH', 'm')).toMatchObject({ findings: [], chain: [] })
  expect(new errors.TrustError('ERR_TRUST_PIN_MISMATCH', 'm')).not.toHaveProperty('manifestVersion')
})

test('a manifest error says which document, of which version, came from where', () => {
  const details = { kind: 'transient', document: 'status', version: 3, source: 'u', retryAfterMs: 5 } as const
  expect(new errors.ManifestError('ERR_MANIFEST_FETCH_HTTP', 'm', details)).toMatchObject(details)
  const bare = new errors.ManifestError('ERR_MANIFEST_FETCH_HTTP', 'm', { kind: 'transient' })
  for (const member of ['document', 'version', 'source', 'retryAfterMs']) expect(bare).not.toHaveProperty(member)
})

function domainOf(code: ErrorCode): keyof typeof CLASSES {
  return code.split('_')[1] as keyof typeof CLASSES
}

function classOf(code: ErrorCode) {
  return CLASSES[domainOf(code)] as typeof errors.ManifestError
}
