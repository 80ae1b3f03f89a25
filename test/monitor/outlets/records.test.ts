import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClientEvent } from 'pinfetch'
import { cefLine, ecsRecord, leefLine, ocsfRecord, otlpLogRecord, type ToldEvent } from 'pinfetch/monitor'
import { describe, expect, test } from 'vitest'
import { meaningOf, RECORDED } from '../../../src/monitor/outlets/meaning.ts'
import { PRODUCT } from '../../../src/monitor/outlets/record.ts'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import {
  ecsProblems,
  type OtlpAttribute,
  ocsfProblems,
  otlpProblems,
  plainAttributes,
  readCef,
  readLeef,
} from './golden.ts'
import { HOST, handshake, mismatch, refused, samples, server } from './samples.ts'

const told = (event: ClientEvent): ToldEvent => ({ event, at: toUnixMs(1_767_268_800_000) })
const ocsf = (event: ClientEvent): Record<string, unknown> | undefined => ocsfRecord(told(event))
/** As a collector reads it, its attributes by their names. */
function otlp(event: ClientEvent): Record<string, unknown> & { readonly attributes: Record<string, unknown> } {
  const record = JSON.parse(JSON.stringify(otlpLogRecord(told(event)))) as { readonly attributes: OtlpAttribute[] }
  return { ...record, attributes: plainAttributes(record.attributes) }
}
const asLogs = (record: object | undefined): object => ({ resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] })

test('the samples hold every type that a record is made of', () => {
  expect(new Set(samples.map(({ type }) => type))).toEqual(new Set(RECORDED))
})

describe.each(samples.map((event, index) => ({ event, name: `${event.type} (${index})` })))('$name', ({ event }) => {
  test('has an OCSF record of the published fields and enumerations, or none', () => {
    const meaning = meaningOf(event)
    const record = ocsf(event)
    expect(record === undefined).toBe(meaning === undefined || meaning.kind === 'operation')
    if (record === undefined) return
    expect(ocsfProblems(JSON.parse(JSON.stringify(record)))).toEqual([])
  })

  test('has a LEEF line wherever it means something', () => {
    const [line, meaning] = [leefLine(told(event)), meaningOf(event)]
    expect(line === undefined).toBe(meaning === undefined)
    if (line === undefined) return
    const leef = readLeef(line)
    expect(leef?.head).toEqual([
      'LEEF:2.0',
      'pinfetch',
      'pinfetch',
      PRODUCT.version,
      meaning?.code ?? event.type,
      'x09',
    ])
    expect(leef?.fields).toMatchObject({
      cat: `${meaning?.kind}/${event.type}`,
      sev: expect.stringMatching(/^([1-9]|10)$/),
    })
    expect(leef?.fields.devTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$/)
  })

  test('has an ECS document and a CEF line wherever it means something', () => {
    const [document, line] = [ecsRecord(told(event)), cefLine(told(event))]
    if (meaningOf(event) === undefined) {
      expect([document, line]).toEqual([undefined, undefined])
      return
    }
    expect(ecsProblems(JSON.parse(JSON.stringify(document)))).toEqual([])
    const cef = readCef(line ?? '')
    expect(cef?.head.slice(0, 4)).toEqual(['CEF:0', 'pinfetch', 'pinfetch', PRODUCT.version])
    expect(Number(cef?.fields.rt)).toBeGreaterThan(1_700_000_000_000)
    expect(Number(cef?.head[6])).toBeLessThanOrEqual(10)
  })
})

test.each(samples.map((event, index) => ({ event, name: `${event.type} (${index})` })))(
  '$name has a log record of the OpenTelemetry Protocol wherever it means something',
  ({ event }) => {
    const record = otlpLogRecord(told(event))
    const meaning = meaningOf(event)
    expect(record === undefined).toBe(meaning === undefined)
    if (record === undefined) return
    expect(otlpProblems(asLogs(JSON.parse(JSON.stringify(record)) as object))).toEqual([])
    const { attributes, ...rest } = otlp(event)
    expect(rest).toMatchObject({ eventName: `pinfetch.${event.type}`, severityText: meaning?.severity })
    expect(attributes).toMatchObject({ 'pinfetch.record.kind': meaning?.kind })
    expect(attributes['error.type']).toBe(meaning?.code)
  },
)

test('the schema check finds what is wrong', () => {
  const log = JSON.parse(JSON.stringify(otlpLogRecord(told(handshake())))) as { attributes: readonly object[] }
  const [attribute] = log.attributes
  expect(otlpProblems(asLogs(log))).toEqual([])
  const path = 'resourceLogs.scopeLogs.logRecords'
  expect(otlpProblems(asLogs({ ...log, timeUnixNano: 5 }))).toEqual([`${path}.timeUnixNano is no fixed64`])
  expect(otlpProblems(asLogs({ ...log, time_unix_nano: '5' }))).toEqual([`${path}.time_unix_nano is no field`])
  expect(otlpProblems(asLogs({ ...log, severityNumber: 25 }))).toEqual([`${path}.severityNumber is no SeverityNumber`])
  expect(otlpProblems(asLogs({ ...log, body: 'text' }))).toEqual([`${path}.body is no AnyValue`])
  expect(otlpProblems(asLogs({ ...log, body: { intValue: 5 } }))).toEqual([`${path}.body.intValue is no int64`])
  expect(otlpProblems(asLogs({ ...log, body: { stringValue: '\ud800' } }))).toHaveLength(1)
  expect(otlpProblems(asLogs({ ...log, attributes: [attribute, attribute] }))).toHaveLength(1)

  const right = ocsf(handshake()) ?? {}
  expect(ocsfProblems(right)).toEqual([])
  expect(ocsfProblems({ ...right, type_uid: 400104 })).toEqual(['type_uid'])
  expect(ocsfProblems({ ...right, severity_id: 2 })).toEqual(['severity_id 2'])
  expect(ocsfProblems({ ...right, colour: 'red' })).toEqual(['colour is no field'])
  expect(ocsfProblems({ ...right, tls: { sni: HOST } })).toEqual(['tls.version is missing'])
  expect(ocsfProblems({ ...right, activity_id: 9, type_uid: 400109 })).toEqual(['activity'])
  const { dst_endpoint: _, ...nowhere } = right
  expect(ocsfProblems(nowhere)).toEqual([': none of dst_endpoint,src_endpoint'])
  const document = ecsRecord(told(handshake())) ?? {}
  expect(ecsProblems({ ...document, event: { ...(document.event as object), type: ['creation'] } })).toEqual([
    'event.type creation',
  ])
  expect(readCef('CEF:0|a|b|1|2|three|5|colour=red')).toBeUndefined()
})

test('one pin mismatch is one detection, and one connection that was blocked', () => {
  const records = mismatch.map(ocsf).filter((record) => record !== undefined)
  expect(records.map(({ class_uid, activity_name }) => [class_uid, activity_name])).toEqual([
    [2004, 'Create'],
    [4001, 'Fail'],
  ])
  for (const record of records) expect(record).toMatchObject({ disposition: 'Blocked', action: 'Denied' })
  expect(records[0]).toMatchObject({
    severity: 'High',
    is_alert: true,
    finding_info: { types: ['tls.rejected'], analytic: { uid: 'ERR_TRUST_PIN_MISMATCH' } },
    evidences: [{ dst_endpoint: { hostname: HOST, port: 443 }, data: { code: 'ERR_TRUST_PIN_MISMATCH' } }],
  })
  const detections = mismatch.map((event) => ecsRecord(told(event))).filter((one) => one?.rule !== undefined)
  expect(detections.length).toBe(1)
})

test('a token that was renewed and one that was refused are authentications (3002)', () => {
  const renewed = ocsf({ type: 'token.refresh', result: 'renewed', trigger: 'first', waiters: 1, ms: 5 })
  const refused = ocsf({ type: 'token.refused', host: HOST, code: 'ERR_AUTH_TOKEN_REJECTED' })
  expect([renewed, refused]).toMatchObject([{ class_uid: 3002 }, { class_uid: 3002 }])
})

test('a key of an interception product that was accepted is a detection of its own', () => {
  const accepted: ClientEvent = {
    type: 'tls.interception',
    host: HOST,
    spki: server.pin,
    verified: false,
    outcome: 'accepted',
    manifestVersion: 7,
  }
  expect(ocsf(accepted)).toMatchObject({ class_uid: 2004, disposition: 'Allowed' })
  expect(ocsf({ ...accepted, outcome: 'refused' })).toBeUndefined()
})

test('a handshake holds the certificate as it was presented', () => {
  const certificate = { subject: expect.any(String), issuer: expect.any(String), is_self_signed: false }
  const record = ocsf(handshake())
  expect(record).toMatchObject({
    class_uid: 4001,
    type_uid: 400101,
    dst_endpoint: { hostname: HOST, port: 443, ip: '192.0.2.7' },
    tls: { sni: HOST, version: '1.3', cipher: 'TLS_AES_256_GCM_SHA384', handshake_dur: 3, certificate },
  })
  const { tls } = record as { tls: { certificate: { sans: unknown; fingerprints: { value: string }[] } } }
  expect(tls.certificate.sans).toEqual([
    { type: 'DNS', name: HOST },
    { type: 'IP', name: '192.0.2.7' },
  ])
  const document = ecsRecord(told(handshake())) as { tls: { server: { hash: { sha256: string } } } }
  expect(document.tls.server.hash.sha256).toBe(tls.certificate.fingerprints[0]?.value.toUpperCase())
})

test('a log record says of a handshake what the conventions have names for, in their words', () => {
  expect(otlp(handshake({ host: 'api.example.com:8443' }))).toMatchObject({
    timeUnixNano: '1767268800000000000',
    observedTimeUnixNano: '1767268800000000000',
    severityNumber: 9,
    body: { stringValue: 'TLS connection to api.example.com:8443 was opened' },
    attributes: {
      'server.address': HOST,
      'server.port': 8443,
      'network.peer.address': '192.0.2.7',
      'tls.established': true,
      'tls.protocol.version': '1.3',
      'tls.cipher': 'TLS_AES_256_GCM_SHA384',
      'tls.server.subject': expect.stringContaining(HOST),
      'tls.server.hash.sha256': expect.stringMatching(/^[0-9A-F]{64}$/),
      'pinfetch.result': 'accepted',
      'pinfetch.manifest.version': 7,
      'pinfetch.pins.matched': [server.pin],
    },
  })
  const { attributes } = otlp(refused({ proxy: 'http://proxy.example:8080' }))
  expect(attributes).toMatchObject({ 'error.type': 'ERR_TRUST_PIN_MISMATCH', 'tls.established': false })
  expect(attributes).not.toHaveProperty(['tls.cipher'])
})

test('a log record of another event has its details, and the more it matters the higher its number', () => {
  const [, rejected] = mismatch
  if (rejected === undefined) throw new Error('none')
  for (const name of ['pinfetch.host', 'pinfetch.code']) expect(otlp(rejected).attributes).not.toHaveProperty([name])
  expect(otlp(rejected)).toMatchObject({
    severityNumber: 17,
    attributes: {
      'server.address': HOST,
      'error.type': 'ERR_TRUST_PIN_MISMATCH',
      'pinfetch.record.action': 'denied',
      'pinfetch.findings': [{ code: 'ERR_TRUST_PIN_MISMATCH', certificateIndex: null }],
      'pinfetch.manifestVersion': 7,
    },
  })
  const numbers = new Map(
    samples.flatMap((event) => {
      const severity = meaningOf(event)?.severity
      return severity === undefined ? [] : [[severity, otlp(event).severityNumber]]
    }),
  )
  expect(Object.fromEntries(numbers)).toEqual({ informational: 9, low: 10, medium: 13, high: 17, critical: 18 })
})

test('what is no certificate has a digest alone, and a peer refused early no version', () => {
  const { tls } = ocsf(refused({ presented: [new Uint8Array([1, 2, 3])] })) as { tls: Record<string, unknown> }
  expect(tls).toMatchObject({ version: 'unknown', certificate_chain: [expect.stringMatching(/^[0-9a-f]{64}$/)] })
  expect(tls.certificate).toBeUndefined()
})

test('containment closes the finding that it opened', () => {
  const begun = ocsf({
    type: 'containment.begun',
    scope: 'a.example',
    reason: '',
    by: 'signal',
    requests: 0,
  })
  const ended = ocsf({ type: 'containment.ended', scope: 'a.example', reason: '', closedBecause: '' })
  expect([begun?.activity_name, ended?.activity_name]).toEqual(['Create', 'Close'])
  expect(ended?.finding_info).toMatchObject({ uid: 'ERR_POLICY_CONTAINED/a.example' })
  expect(begun?.finding_info).toMatchObject({ uid: 'ERR_POLICY_CONTAINED/a.example' })
  expect([begun?.severity, ended?.is_alert]).toEqual(['Critical', false])
})

test('hostile text breaks no line, adds no field and makes no record longer than 64 KiB', () => {
  const nasty = 'a|b=c\\d\r\nCEF:0|x|y|1|2|3|9|act=allowed'
  const line = cefLine(told({ type: 'posture', subject: nasty, effect: nasty })) ?? ''
  expect(readCef(line)?.fields.msg).toContain('a|b=c\\d\nCEF:0')
  expect(readCef(line)?.fields.act).toBe('observed')
  const tabbed = 'a=b|c\taction=allowed\r\nLEEF:2.0|x'
  const leef = readLeef(leefLine(told({ type: 'posture', subject: tabbed, effect: tabbed })) ?? '')
  expect(leef?.fields).toMatchObject({
    action: 'observed',
    msg: expect.stringContaining('a=b|c action=allowed LEEF:2.0|x'),
  })
  const half = `${'x'.repeat(498)}\u{1f512}` // cut in the middle of a character
  for (const subject of [nasty, half, '\ud800'])
    expect(otlpProblems(asLogs(otlpLogRecord(told({ type: 'posture', subject, effect: half }))))).toEqual([])
  const long = 'x'.repeat(100_000)
  const many = Array.from({ length: 1_000 }, () => long)
  const events: readonly ClientEvent[] = [
    { type: 'dns.mismatch', host: HOST, first: many, second: many },
    { type: 'posture', subject: long, effect: long },
    handshake({
      presented: Array.from({ length: 1_000 }, () => server.der),
      pins: { considered: many, matched: many },
    }),
  ]
  for (const event of events) {
    for (const record of [ocsf(event), ecsRecord(told(event)), otlpLogRecord(told(event))])
      expect(JSON.stringify(record).length).toBeLessThan(65_536)
  }
})

test('the version that records name is that of the package', () => {
  const path = join(import.meta.dirname, '../../../package.json')
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ name: PRODUCT.name, version: PRODUCT.version })
})
