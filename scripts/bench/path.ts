import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { X509Certificate as PeculiarCertificate, X509ChainBuilder } from '@peculiar/x509'
import { generateKey, type TestCertificate, testCa } from 'pinfetch/testing'
import { CertificateChainValidationEngine, Certificate as PkijsCertificate } from 'pkijs'
import { canonicalOrigin } from '../../src/encoding/host.ts'
import { toUnixMs, type UnixMs } from '../../src/ports/runtime.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { createEvaluator, evaluateTrust } from '../../src/trust/evaluate.ts'
import { findPath } from '../../src/trust/path/build.ts'
import type { HostPolicy } from '../../src/trust/policy.ts'
import { DEFAULT_REVOCATION } from '../../src/trust/revocation/policy.ts'
import { bounded, median, pairedRatio, rounded, roundedRatio } from './statistics.ts'

/**
 * What the verdict costs on a chain as the web has them: P-256 end entity, RSA-2048 intermediate, RSA-4096 root. Cold
 * means certificates that this process never saw, anchor included, so that no cache of ours can know them; the keys stay
 * the same, for making them takes seconds and nothing remembers a key without its certificate. The measure is the walk
 * that one would write on node:crypto: parse three certificates, compare names, check two signatures.
 *
 * @returns Microseconds, median of the rounds' medians; ratios of paired rounds with their 95 % interval.
 */
export async function measurePath(rounds: number): Promise<unknown> {
  const series = new Map<string, number[]>()
  const record = (name: string, us: number): void => void series.set(name, [...(series.get(name) ?? []), us])
  const steady = createScene()
  compile()
  for (let round = -WARM_UP; round < rounds; round += 1) {
    const runs: readonly (readonly [name: string, run: () => number | Promise<number>])[] = [
      ['node:crypto walk', () => overFresh(createScene, nodeWalk)],
      ['findPath, cold', () => overFresh(createScene, ours)],
      ['findPath, CA links cached', () => overFresh(steady.again, ours)],
      ['evaluateTrust, chain seen before', () => repeated(() => evaluateTrust(steady.input).kind)],
      ['evaluator, whole-chain hit', () => repeated(() => evaluator(steady.input).kind)],
      ['X509ChainBuilder of @peculiar/x509', () => overFreshAsync(peculiar)],
      ['CertificateChainValidationEngine of pkijs', () => overFreshAsync(pkijs)],
    ]
    for (let turn = 0; turn < runs.length; turn += 1) {
      const next = runs[(round + WARM_UP + turn) % runs.length]
      const us = await next?.[1]()
      if (round >= 0 && next !== undefined && us !== undefined) record(next[0], us)
    }
  }
  const of = (name: string): readonly number[] => series.get(name) ?? []
  const cold = of('findPath, cold')
  return {
    us: Object.fromEntries([...series].map(([name, values]) => [name, rounded(median(values), 1)])),
    ratios: {
      'cold / node:crypto walk': bounded(pairedRatio(cold, of('node:crypto walk')), { max: MAX_COLD }),
      'CA links cached / cold': bounded(pairedRatio(of('findPath, CA links cached'), cold), { max: MAX_CACHED }),
      'cold / X509ChainBuilder': roundedRatio(pairedRatio(cold, of('X509ChainBuilder of @peculiar/x509'))),
      'cold / pkijs': roundedRatio(pairedRatio(cold, of('CertificateChainValidationEngine of pkijs'))),
    },
    'whole-chain hit': { maxUs: MAX_HIT_US, held: median(of('evaluator, whole-chain hit')) <= MAX_HIT_US },
  }
}

interface Scene {
  readonly endEntity: TestCertificate
  readonly issuer: TestCertificate
  readonly root: TestCertificate
  /** The same CAs with an end entity never seen before. */
  readonly again: () => Scene
  readonly input: Parameters<typeof evaluateTrust>[0]
}

function createScene(): Scene {
  const ca = testCa({ now: NOW, root: { key: KEYS.root }, intermediate: { key: KEYS.intermediate } })
  const anchors = createAnchors(ca.root.der)
  const made = (): Scene => {
    const endEntity = ca.issue({ names: [HOST], key: KEYS.endEntity })
    const policy: HostPolicy = { ...POLICY, anchors, pinGroups: [[{ spki: ca.issuer.pin }]] }
    const input = { presented: endEntity.chain, identity: { kind: 'dns', name: HOST } as const, policy, now: NOW }
    return { endEntity, issuer: ca.issuer, root: ca.root, again: made, input }
  }
  return made()
}

/** V8 compiles what has run a thousand times, as it has in a service; small keys make that cheap. Nothing of it is remembered. */
function compile(): void {
  for (let i = 0; i < 1_000; i += 1) {
    const ca = testCa({ now: NOW })
    const { chain } = ca.issue({ names: [HOST] })
    findPath({ presented: chain, anchors: createAnchors(ca.root.der), now: NOW })
  }
}

/** The anchor is read within the measure when the chain is cold, as the walk reads its root. */
function ours({ endEntity, root, input }: Scene): boolean {
  const anchors = seen.has(root) ? input.policy.anchors : createAnchors(root.der)
  return findPath({ presented: endEntity.chain, anchors, now: NOW }).kind === 'valid'
}

function nodeWalk({ endEntity, issuer, root }: Scene): boolean {
  const [child, middle, top] = [endEntity, issuer, root].map(({ der }) => new X509Certificate(der))
  if (child === undefined || middle === undefined || top === undefined) return false
  const isIssued = child.checkIssued(middle) && middle.checkIssued(top)
  return isIssued && child.verify(middle.publicKey) && middle.verify(top.publicKey)
}

/** p50 of one pass over each of some scenes made beforehand. */
function overFresh(make: () => Scene, run: (scene: Scene) => boolean): number {
  const scenes = Array.from({ length: PER_ROUND }, make)
  if (make !== createScene) for (const { root } of scenes) seen.add(root)
  return median(
    scenes.map((scene) => {
      const start = performance.now()
      const isValid = run(scene)
      const us = (performance.now() - start) * 1_000
      if (!isValid) throw new Error('a sound chain was refused')
      return us
    }),
  )
}

/** What is too short for the clock is timed by the hundred. */
function repeated(run: () => string): number {
  const times = Array.from({ length: PER_ROUND }, () => {
    const start = performance.now()
    for (let i = 0; i < 100; i += 1) if (run() !== 'trusted') throw new Error('a sound chain was refused')
    return (performance.now() - start) * 10
  })
  return median(times)
}

/** Builds by issuer and signature; looks at neither dates nor CA bits. */
async function peculiar({ endEntity, issuer, root }: Scene): Promise<boolean> {
  const [leaf, ...certificates] = [endEntity, issuer, root].map(({ der }) => new PeculiarCertificate(Buffer.from(der)))
  return leaf !== undefined && (await new X509ChainBuilder({ certificates }).build(leaf)).length === 3
}

/** Validates, revocation left out. The end entity is the last of `certs`. */
async function pkijs({ endEntity, issuer, root }: Scene): Promise<boolean> {
  const [leaf, middle, top] = [endEntity, issuer, root].map(({ der }) => PkijsCertificate.fromBER(der))
  if (leaf === undefined || middle === undefined || top === undefined) return false
  const engine = new CertificateChainValidationEngine({
    trustedCerts: [top],
    certs: [middle, leaf],
    checkDate: new Date(NOW),
  })
  return (await engine.verify()).result
}

/** `overFresh` for those that answer by a promise; they take milliseconds, so fewer passes do. */
async function overFreshAsync(run: (scene: Scene) => Promise<boolean>): Promise<number> {
  const times: number[] = []
  for (const scene of Array.from({ length: 3 }, createScene)) {
    const start = performance.now()
    const isValid = await run(scene)
    times.push((performance.now() - start) * 1_000)
    if (!isValid) throw new Error('a sound chain was refused')
  }
  return median(times)
}

const HOST = 'api.example.com'
const NOW: UnixMs = toUnixMs(Date.UTC(2030, 0, 1))
const WARM_UP = 3
const PER_ROUND = 15
const MAX_COLD = 1.25
const MAX_CACHED = 0.7
const MAX_HIT_US = 10
const KEYS = { root: generateKey('RSA-4096'), intermediate: generateKey('RSA-2048'), endEntity: generateKey() }
const seen = new WeakSet<TestCertificate>()
const evaluator = createEvaluator()
const ORIGIN = canonicalOrigin(new URL(`https://${HOST}/`))
if (ORIGIN === undefined) throw new Error(`${HOST} has no canonical origin`)
const POLICY = {
  host: ORIGIN.host,
  port: ORIGIN.port,
  source: 'code',
  mode: 'enforce',
  denies: [],
  revocation: DEFAULT_REVOCATION,
  minTlsVersion: '1.3',
  manifestVersion: 0,
  generation: 'bench',
} as const
