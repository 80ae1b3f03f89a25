import 'reflect-metadata'
import { spawnSync } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { X509Crl } from '@peculiar/x509'
import { generateKey, type KeyPair, ocspResponse, type TestCertificate, testCa } from 'pinfetch/testing'
import { BasicOCSPResponse, CertificateRevocationList, OCSPResponse, Certificate as PkijsCertificate } from 'pkijs'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { nextTurn } from '../../src/ports/turn.ts'
import { CrlReader, type VerifiedCrl } from '../../src/trust/revocation/crl.ts'
import { DEFAULT_LIMITS } from '../../src/trust/revocation/evidence.ts'
import { verifyOcspResponse } from '../../src/trust/revocation/ocsp.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import * as der from '../../src/x509/der-writer.ts'
import { signatureAlgorithm, signBytes } from '../../src/x509/generate.ts'
import { median } from './statistics.ts'

/**
 * What it costs to know that a certificate is not revoked. An OCSP response, from its bytes to the verdict, the issuer's
 * certificate read before; and a CRL in pieces of 64 KiB with a turn of the event loop between them, as it arrives from the
 * network: time from the first piece to the verified index, memory that stays, and how long the loop was held at most. The
 * others get their list whole, for they have no other way, and keep what they return.
 *
 * @returns Medians of the rounds; of stalls the median and the worst.
 */
export async function measureRevocation(rounds: number): Promise<unknown> {
  const ca = testCa({ now: NOW, intermediate: { key: generateKey('RSA-2048') } })
  const listOf = (entries: number): List => ({ der: writeCrl(ca.issuer, entries), issuer: ca.issuer, entries })
  return {
    'OCSP response': await measureOcsp(rounds),
    'CRL of 1,500': await measureList(listOf(1_500), rounds, [pkijs, peculiar]), // all that pkijs takes: 10,000 nodes of ASN.1
    'CRL of 100,000': await measureList(listOf(100_000), rounds, [peculiar]),
    'CRL of 1,000,000': await measureList(listOf(1_000_000), Math.min(rounds, 11), []), // objects for it take gigabytes
  }
}

interface List {
  readonly der: Uint8Array
  readonly issuer: TestCertificate
  readonly entries: number
}

async function measureOcsp(rounds: number): Promise<unknown> {
  const report: Record<string, unknown> = {}
  for (const type of ['RSA-2048', 'P-256'] as const) {
    const ca = testCa({ now: NOW, intermediate: { key: generateKey(type) } })
    const key = generateKey(type)
    const direct = await p50(rounds, 50, () => ocspScene(ca.issuer), ourOcsp)
    report[`${type}, signed by the issuer`] = { us: direct, maxUs: MAX_OCSP_US, held: direct <= MAX_OCSP_US }
    report[`${type}, delegated`] = {
      us: await p50(rounds, 50, () => ocspScene(ca.issuer, key), ourOcsp),
      'us, pkijs': await p50(rounds, 5, () => ocspScene(ca.issuer, key), pkijsOcsp),
    }
  }
  return report
}

interface OcspScene {
  readonly response: Uint8Array
  readonly certificate: TestCertificate
  readonly issuer: TestCertificate
}

/** A response that was never seen before; with a key, by a responder to whom the issuer delegated. */
function ocspScene(issuer: TestCertificate, delegated?: KeyPair): OcspScene {
  const certificate = issuer.issue({ names: ['api.example.com'] })
  const responder =
    delegated && issuer.issue({ subject: 'Responder', key: delegated, extendedKeyUsage: ['ocspSigning'] })
  return { response: ocspResponse({ certificate, ...(responder && { responder }) }), certificate, issuer }
}

/** The certificates are those of the verified path: read before, keys included. */
function ourOcsp({ response, certificate, issuer }: OcspScene): () => boolean {
  const path = { certificate: parseCertificate(certificate.der), issuer: knownIssuer(issuer) }
  return () => verifyOcspResponse({ response, ...path, now: NOW, limits: DEFAULT_LIMITS }).status === 'good'
}

function knownIssuer(issuer: TestCertificate): ReturnType<typeof parseCertificate> {
  const known = issuers.get(issuer) ?? parseCertificate(issuer.der)
  issuers.set(issuer, known)
  return known
}

function pkijsOcsp({ response, certificate, issuer }: OcspScene): () => Promise<boolean> {
  const [subject, signer] = [PkijsCertificate.fromBER(certificate.der), PkijsCertificate.fromBER(issuer.der)]
  return async () => {
    const { responseBytes } = OCSPResponse.fromBER(response)
    if (responseBytes === undefined) return false
    const basic = BasicOCSPResponse.fromBER(responseBytes.response.valueBlock.valueHexView)
    if (!(await basic.verify({ trustedCerts: [signer] }))) return false
    return (await basic.getCertificateStatus(subject, signer)).status === 0
  }
}

/** Microseconds; the median of the rounds' medians. */
async function p50(
  rounds: number,
  count: number,
  make: () => OcspScene,
  prepare: (scene: OcspScene) => () => boolean | Promise<boolean>,
): Promise<number> {
  const medians: number[] = []
  for (let round = -WARM_UP; round < rounds; round += 1) {
    const times: number[] = []
    for (const run of Array.from({ length: count }, () => prepare(make()))) {
      const start = performance.now()
      const answer = run()
      const isGood = typeof answer === 'boolean' ? answer : await answer
      times.push((performance.now() - start) * 1_000)
      if (!isGood) throw new Error('a sound response was refused')
    }
    if (round >= 0) medians.push(median(times))
  }
  return rounded(median(medians))
}

async function measureList(list: List, rounds: number, others: readonly ((list: List) => Promise<unknown>)[]) {
  const ours = await repeated(rounds, () => pinfetch(list))
  const { ms, stallMs, retainedMb } = ours
  const held = { ms: ms <= MAX_MS, stall: stallMs <= MAX_STALL_MS, retained: retainedMb <= MAX_RETAINED_MB }
  const report: Record<string, unknown> = { pinfetch: { ...ours, held } }
  for (const read of others) report[read.name] = await repeated(FEW, () => read(list))
  return { bytes: list.der.length, ...report, 'openssl crl, a process': openssl(list) }
}

async function pinfetch({ der, issuer, entries }: List): Promise<VerifiedCrl> {
  const reader = new CrlReader(parseCertificate(issuer.der), DEFAULT_LIMITS)
  for (let at = 0; at < der.length; at += PIECE_BYTES) {
    reader.write(der.subarray(at, at + PIECE_BYTES))
    await nextTurn()
  }
  const crl = reader.end()
  if (crl.entries !== entries) throw new Error('an entry got lost')
  return crl
}

/** Parses and verifies; entries become objects. */
async function pkijs({ der, issuer }: List): Promise<unknown> {
  const crl = CertificateRevocationList.fromBER(der)
  if (await crl.verify({ issuerCertificate: PkijsCertificate.fromBER(issuer.der) })) return crl
  throw new Error('a sound list was refused')
}

/** Parses with its limits raised, verifies, and looks one serial number up. */
async function peculiar({ der, issuer }: List): Promise<unknown> {
  const crl = new X509Crl(Buffer.from(der), { berOptions: { maxNodes: 1e7, maxContentLength: 1e9 } })
  const publicKey = await crypto.subtle.importKey('spki', Buffer.from(issuer.spki), RSA, true, ['verify'])
  if (!(await crl.verify({ publicKey }))) throw new Error('a sound list was refused')
  crl.findRevoked('01')
  return crl
}

async function repeated(rounds: number, read: () => Promise<unknown>) {
  await once(read) // compiles
  const runs: Awaited<ReturnType<typeof once>>[] = []
  for (let round = 0; round < rounds; round += 1) runs.push(await once(read))
  const of = (name: keyof (typeof runs)[number]): number => rounded(median(runs.map((figures) => figures[name])))
  const worstStallMs = rounded(Math.max(...runs.map(({ stallMs }) => stallMs)))
  return { ms: of('ms'), cpuMs: of('cpuMs'), stallMs: of('stallMs'), worstStallMs, retainedMb: of('retainedMb') }
}

async function once(read: () => Promise<unknown>) {
  const before = settledMemory()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await sleep(20) // the monitor counts from its first tick, and to its last
  const [startedAt, cpu] = [performance.now(), process.cpuUsage()]
  const kept = await read()
  const ms = performance.now() - startedAt
  const { user, system } = process.cpuUsage(cpu)
  await sleep(20)
  delay.disable()
  const retainedMb = (settledMemory() - before) / 1e6
  if (kept === undefined) throw new Error('nothing was read')
  return { ms, cpuMs: (user + system) / 1_000, stallMs: delay.max / 1e6, retainedMb }
}

/** Milliseconds, the start of the process included. */
function openssl({ der, issuer }: List): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-bench-'))
  const [file, signer] = [join(folder, 'list.crl'), join(folder, 'issuer.pem')]
  writeFileSync(file, der)
  writeFileSync(signer, issuer.pem)
  const timed = (...args: readonly string[]): number => {
    const times = Array.from({ length: FEW }, () => {
      const start = performance.now()
      const { status } = spawnSync('openssl', ['crl', '-inform', 'DER', '-in', file, '-noout', ...args])
      return status === 0 ? performance.now() - start : Number.NaN
    })
    return rounded(median(times))
  }
  const isInstalled = spawnSync('openssl', ['version']).status === 0
  const report = isInstalled ? { parsed: timed(), verified: timed('-verify', '-CAfile', signer) } : 'not installed'
  rmSync(folder, { recursive: true })
  return report
}

/** Random serial numbers of 16 octets, one entry in three with a reasonCode: written in place, for a million are many. */
function writeCrl(issuer: TestCertificate, entries: number): Uint8Array {
  const [plain, withReason] = [entryTemplate(), entryTemplate(der.sequence(der.sequence(...REASON_CODE)))]
  const withReasons = Math.floor(entries / 3)
  const list = Buffer.alloc(withReasons * withReason.length + (entries - withReasons) * plain.length)
  for (let entry = 0, at = 0; entry < entries; entry += 1) {
    const template = entry % 3 === 2 ? withReason : plain
    list.set(template, at)
    randomFillSync(list, at + SERIAL_AT, 16)
    list[at + SERIAL_AT] = 0x40 | ((list[at + SERIAL_AT] ?? 0) & 0x3f) // positive, and 16 octets
    at += template.length
  }
  const signer = { privateKey: issuer.key.privateKey }
  const algorithm = signatureAlgorithm(signer)
  const tbs = der.sequence(
    der.integer(1),
    algorithm,
    issuer.subject,
    der.time(NOW - HOUR_MS),
    der.time(NOW + HOUR_MS),
    der.sequence(list),
  )
  return der.sequence(tbs, algorithm, der.bitString(signBytes(tbs, signer)))
}

const entryTemplate = (...extensions: readonly Uint8Array[]): Uint8Array =>
  der.sequence(der.integer(new Uint8Array(16).fill(0x40)), der.time(NOW - HOUR_MS), ...extensions)

/** Array buffers are part of `external`. */
function settledMemory(): number {
  const { gc } = globalThis as { gc?: () => void }
  for (let i = 0; i < 3; i += 1) gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const rounded = (value: number): number => Number(value.toFixed(1))

const NOW = toUnixMs(Date.now())
const HOUR_MS = 3_600_000
const PIECE_BYTES = 64 * 1024
const SERIAL_AT = 4 // behind the heads of SEQUENCE and INTEGER
const REASON_CODE = [der.objectIdentifier('2.5.29.21'), der.octetString(der.enumerated(1))]
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
const WARM_UP = 3
const FEW = 5
const MAX_OCSP_US = 100
const MAX_MS = 500
const MAX_STALL_MS = 20
const MAX_RETAINED_MB = 64
const issuers = new WeakMap<TestCertificate, ReturnType<typeof parseCertificate>>()
