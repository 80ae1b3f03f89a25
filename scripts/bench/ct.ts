import 'reflect-metadata'
import { hash, type KeyObject, verify } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { generateKey, testCa } from 'pinfetch/testing'
import { Certificate as PkijsCertificate, verifySCTsForCertificate } from 'pkijs'
import { createNameMatcher } from '../../src/monitor/issuance/names.ts'
import { readTbsCertificate } from '../../src/monitor/issuance/read-certificate.ts'
import { readTile, verifyTile } from '../../src/monitor/issuance/tile.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { checkTransparency } from '../../src/trust/transparency/check.ts'
import { type Certificate, parseCertificate } from '../../src/x509/certificate.ts'
import { logged, precertificate, sct, testLog, testLogList } from '../../test/support/transparency.ts'
import { bounded, median, pairedRatio, rounded, roundedRatio } from './statistics.ts'

/**
 * What transparency costs. At a connection: three SCTs of logs with P-256 keys, in a certificate that this process never saw,
 * so that no verdict is remembered; the certificate is read before, as the path's is, and the list's keys are known. Beside
 * it pkijs on the same certificates, and the three signatures alone. For a watch: entries of a static log, from the bytes of
 * their tiles to whether they concern a domain, the hashes of the tree compared.
 *
 * @returns Medians of the rounds; ratios with their 95 % interval.
 */
export async function measureCt(rounds: number): Promise<unknown> {
  return { 'SCTs of one certificate': await measureScts(rounds), 'static log': measureTiles(rounds) }
}

async function measureScts(rounds: number): Promise<unknown> {
  const series = { pinfetch: [] as number[], 'three signatures': [] as number[], pkijs: [] as number[] }
  for (let round = -WARM_UP; round < rounds; round += 1) {
    const scenes = Array.from({ length: PER_ROUND }, makeScene)
    const runs: readonly (readonly [keyof typeof series, () => Promise<number>])[] = [
      ['pinfetch', () => p50(scenes, (scene) => checks(scene))],
      ['three signatures', () => p50(scenes, ({ signed }) => signed.every((one) => verify('sha256', ...one)))],
      ['pkijs', () => p50(scenes.slice(0, FEW), pkijs)],
    ]
    for (let turn = 0; turn < runs.length; turn += 1) {
      const next = runs[(round + WARM_UP + turn) % runs.length]
      const us = await next?.[1]()
      if (round >= 0 && next !== undefined && us !== undefined) series[next[0]].push(us)
    }
  }
  const { pinfetch: ours, pkijs: theirs, 'three signatures': floor } = series
  const limits = ours.map(() => MAX_SCTS_US)
  return {
    us: Object.fromEntries(Object.entries(series).map(([name, values]) => [name, rounded(median(values), 1)])),
    [`pinfetch / ${MAX_SCTS_US} us`]: bounded(pairedRatio(ours, limits), { max: 1 }),
    'pinfetch / pkijs': roundedRatio(pairedRatio(ours, theirs)),
    'pinfetch / three signatures': roundedRatio(pairedRatio(ours, floor)),
  }
}

interface Scene {
  readonly certificate: Certificate
  readonly der: Uint8Array
  /** Data, key and signature of each SCT. */
  readonly signed: readonly (readonly [data: Uint8Array, key: KeyObject, signature: Uint8Array])[]
}

function makeScene(): Scene {
  const signed: Scene['signed'][number][] = []
  const { der } = logged(CA, { names: ['api.example.com'], key: KEY }, (entry) =>
    LOGS.map((log) => {
      const one = sct(log, entry, { timestamp: NOW - HOUR_MS })
      const timestamp = one.subarray(33, 41)
      const data = Buffer.concat([Uint8Array.of(0, 0), timestamp, entry, Uint8Array.of(0, 0)]) // RFC 6962 §3.2
      signed.push([data, log.key.publicKey, one.subarray(47)])
      return one
    }),
  )
  return { der, certificate: parseCertificate(der), signed }
}

function checks({ certificate }: Scene): boolean {
  const policy = { mode: 'enforce', rfc6962Log: 'optional' } as const
  const input = { certificate, issuer: ISSUER, logList: LIST, now: NOW, policy }
  return checkTransparency(input).status === 'compliant'
}

async function pkijs({ der }: Scene): Promise<boolean> {
  const certificate = PkijsCertificate.fromBER(der)
  const start = performance.now()
  const answers = await verifySCTsForCertificate(certificate, PKIJS_ISSUER, PKIJS_LOGS)
  spent = performance.now() - start
  return answers.length === LOGS.length && answers.every(Boolean)
}

/** Microseconds. */
async function p50(scenes: readonly Scene[], run: (scene: Scene) => boolean | Promise<boolean>): Promise<number> {
  const times: number[] = []
  for (const scene of scenes) {
    spent = undefined
    const start = performance.now()
    const answer = run(scene)
    const isGood = typeof answer === 'boolean' ? answer : await answer
    times.push((spent ?? performance.now() - start) * 1_000)
    if (!isGood) throw new Error('sound SCTs were refused')
  }
  return median(times)
}

/** Where a run has to prepare something first: what it says itself. */
let spent: number | undefined

function measureTiles(rounds: number): unknown {
  const tiles = Array.from({ length: TILES }, (_, index) => makeTile(index))
  const matches = createNameMatcher({
    domains: ['example.com', 'example.net', 'bank.example'],
    includeSubdomains: true,
  })
  const rates: number[] = []
  for (let round = -WARM_UP; round < rounds; round += 1) {
    const start = performance.now()
    let found = 0
    for (const [index, { data, hashes }] of tiles.entries()) {
      const entries = readTile(data, { index, width: WIDTH })
      verifyTile(entries, hashes)
      for (const { signedEntry } of entries) {
        const { names, isComplete } = readTbsCertificate(signedEntry)
        if (!isComplete || names.some(matches)) found += 1
      }
    }
    if (found !== TILES) throw new Error('one entry of each tile is ours')
    if (round >= 0) rates.push((TILES * WIDTH * 1_000) / (performance.now() - start))
  }
  const least = rates.map(() => MIN_ENTRIES)
  return {
    'entries a second': Math.round(median(rates)),
    'bytes an entry': Math.round(tiles.reduce((sum, { data }) => sum + data.length, 0) / (TILES * WIDTH)),
    [`rate / ${MIN_ENTRIES}`]: bounded(pairedRatio(rates, least), { min: 1 }),
  }
}

/** Precertificates with some names each, one of them of a watched domain; written from c2sp.org/static-ct-api. */
function makeTile(tile: number): { readonly data: Uint8Array; readonly hashes: Uint8Array } {
  const leaves = Array.from({ length: WIDTH }, (_, position) => {
    const site = position === tile ? 'www.example.com' : `site-${tile}-${position}.example.org`
    const names = [site, ...['www', 'mail', 'cdn'].map((label) => `${label}.of-${position}.example.org`)]
    const certificate = CA.issue({ names, key: KEY })
    const index = Buffer.alloc(8)
    index.writeUInt32BE(tile * WIDTH + position, 3)
    const time = Buffer.alloc(8)
    time.writeBigUInt64BE(BigInt(NOW))
    const extensions = Buffer.concat([Uint8Array.of(0, 8, 0, 0, 5), index.subarray(2, 7)]) // leaf_index, 40 bits
    const timestamped = Buffer.concat([time, precertificate(CA.issuer, certificate), extensions])
    const chain = Buffer.concat([Uint8Array.of(0, 64), digest(CA.issuer.der), digest(CA.root.der)])
    const { der } = certificate
    const before = Buffer.concat([Uint8Array.of(der.length >> 16, (der.length >> 8) & 255, der.length & 255), der])
    return {
      bytes: Buffer.concat([timestamped, before, chain]),
      hash: digest(Buffer.concat([Uint8Array.of(0, 0, 0), timestamped])), // RFC 6962 §2.1, §3.4
    }
  })
  return {
    data: new Uint8Array(Buffer.concat(leaves.map(({ bytes }) => bytes))),
    hashes: new Uint8Array(Buffer.concat(leaves.map((leaf) => leaf.hash))),
  }
}

const digest = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer')

const NOW = toUnixMs(Date.now())
const HOUR_MS = 3_600_000
const KEY = generateKey('P-256')
const CA = testCa({ now: NOW })
const ISSUER = parseCertificate(CA.issuer.der)
const PKIJS_ISSUER = PkijsCertificate.fromBER(CA.issuer.der)
const LOGS = ['A', 'B', 'C'].map((operator) => testLog({ operator }))
const LIST = testLogList(LOGS, NOW - HOUR_MS)
const PKIJS_LOGS = LOGS.map(({ listed: { log_id, key } }) => ({ log_id, key }))
const PER_ROUND = 40
const FEW = 5
const WARM_UP = 3
const MAX_SCTS_US = 400
const TILES = 4
const WIDTH = 256
const MIN_ENTRIES = 10_000
