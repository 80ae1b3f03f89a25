import { createTestRuntime, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { walkRepository } from '../../src/cli/walk.ts'
import { resolveOptions } from '../../src/client/options.ts'
import { createPolicies } from '../../src/client/policies.ts'
import type { PinText } from '../../src/encoding/pin.ts'
import { PinfetchError } from '../../src/errors/errors.ts'
import { addDenies, clearDenies } from '../../src/manifest/denies.ts'
import { COLD, next } from '../../src/manifest/state.ts'
import { viewOf } from '../../src/manifest/view.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import type { ManifestContent } from '../../src/publisher/content.ts'
import { lint, type Published } from '../../src/publisher/lint.ts'
import { createRepository } from '../../src/publisher/repository.ts'
import type { SeenChain } from '../../src/publisher/seen.ts'
import type { HostInput } from '../../src/publisher/wire.ts'
import { evaluateTrust } from '../../src/trust/evaluate.ts'
import { sourceOf } from '../manifest/world.ts'
import { DAY, NOW, type Recorded, recordings } from './recorded.ts'

/*
 * What lint lets through is held against the client itself: every publication is signed, read and turned into a policy as a
 * client does it, and the recorded chains are judged under that policy, before and after.
 */

const runtime = createTestRuntime({ now: NOW })
const fresh = Array.from({ length: 8 }, () => testCa({ now: NOW }).issue().pin)
const [reserve, other, third, stranger] = fresh as [PinText, PinText, PinText, PinText]
const at = (ms: number): string => new Date(NOW + ms).toISOString().replace('.000Z', 'Z')

interface Scene {
  readonly recorded: Recorded
  readonly entry: HostInput
  readonly before: Published
  /** Pins of the end entities that are shown. */
  readonly live: readonly PinText[]
  readonly path: SeenChain['path']
}

function sceneOf(recorded: Recorded, keyControl: 'own' | 'partner'): Scene {
  const { host, port } = recorded.origin
  const path = recorded.seen[0]?.path ?? []
  const live = [...new Set(recorded.seen.flatMap((chain) => chain.path[0]?.pins[0] ?? []))]
  const issuers = recorded.seen.flatMap((chain) => chain.path[1]?.pins[0] ?? [])
  const pins = [
    ...new Set([
      ...live,
      ...(keyControl === 'own' ? [] : issuers),
      ...(keyControl === 'own' || issuers.length === 0 ? [reserve] : []),
    ]),
  ]
  const entry: HostInput = {
    host,
    ...(port === 443 ? {} : { port }),
    mode: 'enforce',
    keyControl,
    pins: pins.map((spki) => ({ spki })),
  }
  return { recorded, entry, before: { content: { hosts: [entry] } }, live, path }
}

type Change = (scene: Scene) => Published | undefined
const hosts = (...list: readonly HostInput[]): Published => ({ content: { hosts: list } })
const withMembers = ({ entry }: Scene, members: ManifestContent): Published => ({
  content: { hosts: [entry], ...members },
})
const mapPins = (
  { entry, live }: Scene,
  change: (pin: HostInput['pins'][number]) => HostInput['pins'][number],
): Published => hosts({ ...entry, pins: entry.pins.map((pin) => (live.includes(pin.spki) ? change(pin) : pin)) })

const HARMLESS: Readonly<Record<string, Change>> = {
  'nothing changes': ({ before }) => before,
  'another pin': ({ entry }) => hosts({ ...entry, pins: [...entry.pins, { spki: other }] }),
  'a label': ({ entry }) => hosts({ ...entry, pins: entry.pins.map((pin) => ({ ...pin, label: 'in use' })) }),
  'another order': ({ entry }) => hosts({ ...entry, pins: entry.pins.toReversed() }),
  'another host': ({ entry }) =>
    hosts(entry, { host: 'b.example.net', mode: 'enforce', pins: [{ spki: other }, { spki: third }] }),
  'a stranger is denied': ({ before }) => ({ ...before, deny: [{ spki: stranger, reason: 'leaked' }] }),
  'a stranger is revoked': (scene) =>
    withMembers(scene, { revocations: { spki: [{ sha256: stranger, since: at(0), reason: 'leaked' }] } }),
  'a pin that starts in time': ({ entry }) =>
    hosts({ ...entry, pins: [...entry.pins, { spki: other, notBefore: at(DAY) }] }),
}

/** What would stop clients; `undefined` where a kind of host has no such thing. */
const BREAKING: Readonly<Record<string, Change>> = {
  'the pins in use are gone': ({ entry }) => hosts({ ...entry, pins: [{ spki: other }, { spki: third }] }),
  'the keys in use are denied': ({ before, live }) => ({
    ...before,
    deny: live.map((spki) => ({ spki, reason: 'by mistake' })),
  }),
  'every pin is denied': ({ before, entry }) => ({
    ...before,
    deny: entry.pins.map(({ spki }) => ({ spki, reason: 'by mistake' })),
  }),
  'an issuer is denied': ({ before, path: [, issuer] }) =>
    issuer?.pins[0] === undefined ? undefined : { ...before, deny: [{ spki: issuer.pins[0], reason: 'by mistake' }] },
  'the anchor is denied': ({ before, path }) =>
    path.length < 2
      ? undefined
      : { ...before, deny: path.slice(-1).map(({ pins: [spki = other] }) => ({ spki, reason: 'by mistake' })) },
  'the key is revoked under another hash': (scene) =>
    withMembers(scene, {
      revocations: { spki: [{ sha256: scene.path[0]?.pins[2] ?? other, since: at(0), reason: 'by mistake' }] },
    }),
  'the certificate is revoked': (scene) =>
    withMembers(scene, { revocations: { certificate: [{ sha256: scene.path[0]?.sha256 ?? '' }] } }),
  'its number is revoked': (scene) => {
    const [end, issuer] = scene.path
    const issuerSpkiSha256 = issuer?.pins[0]
    if (end === undefined || issuerSpkiSha256 === undefined) return undefined
    return withMembers(scene, { revocations: { issuerSerial: [{ issuerSpkiSha256, serials: [end.serial] }] } })
  },
  'its CA is distrusted': (scene) => {
    const spkiSha256 = scene.path.at(-1)?.pins[0]
    if (spkiSha256 === undefined || scene.path.length < 2) return undefined
    return withMembers(scene, { revocations: { distrustAfter: [{ spkiSha256, notBefore: at(-400 * DAY) }] } })
  },
  'every pin is over': ({ entry }) =>
    hosts({ ...entry, pins: entry.pins.map((pin) => ({ ...pin, notAfter: at(-1_000) })) }),
  'every pin is to come': ({ entry }) =>
    hosts({ ...entry, pins: entry.pins.map((pin) => ({ ...pin, notBefore: at(DAY) })) }),
  'the key in use must be an issuer’s': (scene) =>
    scene.entry.pins.every(({ spki }) => scene.live.includes(spki) || spki === reserve)
      ? mapPins(scene, (pin) => ({ ...pin, require: 'issuer' }))
      : undefined,
  'the host is gone': () => hosts({ host: 'b.example.net', mode: 'enforce', pins: [{ spki: other }, { spki: third }] }),
  'no host at all': () => hosts(),
  'it is for another port': ({ entry }) => hosts({ ...entry, port: 9_443 }),
  'two groups, one of them in reserve': ({ entry }) =>
    hosts({
      ...entry,
      pins: [...entry.pins, { spki: other }],
      allOf: [entry.pins.map((_, index) => index), [entry.pins.length]],
    }),
  'one pin without saying so': ({ entry }) => hosts({ ...entry, pins: entry.pins.slice(0, 1) }),
  'a pin twice': ({ entry }) => hosts({ ...entry, pins: [...entry.pins, ...entry.pins.slice(0, 1)] }),
  'an entry of its own below a pattern': ({ entry }) =>
    hosts(entry, { ...entry, port: entry.port ?? 443, pins: [{ spki: other }, { spki: third }] }),
  'an exception that is over': ({ entry }) => hosts({ ...entry, profile: 'legacy', sunset: at(-DAY), reason: 'old' }),
  'anchors that nobody carries': ({ entry }) => hosts({ ...entry, trustAnchors: ['acme'] }),
}

/** What clients say to each chain that the host showed. */
async function accepts(
  { origin, anchors, shown }: Recorded,
  { content, deny }: Published,
): Promise<readonly boolean[]> {
  const repository = await createRepository({ repo: 'acme/pins', env: 'prod', now: NOW })
  const { hosts: list = [], ...members } = content
  try {
    await repository.publishManifest(list, { now: NOW, members })
    if (deny !== undefined) await repository.publishStatus({ now: NOW, deny: [...deny] })
    const [mirror] = sourceOf('memory:/', () => repository.files()).mirrors
    if (mirror === undefined) throw new TypeError('no mirror')
    const { root, status, manifest } = await walkRepository(
      mirror,
      repository.anchor,
      runtime,
      new AbortController().signal,
    )
    const options = resolveOptions({ manifest: { url: '.', root: repository.anchor, memoryOnly: true }, runtime })
    const denies = clearDenies(addDenies([], status), manifest)
    const state = next(COLD, { type: 'activated', manifest, status }, toUnixMs(NOW))
    const view = viewOf(state, { root, denies, everAccepted: true })
    const policies = createPolicies({ options, view: () => view, emit: () => {}, anchorsFor: () => anchors })
    const policy = policies.of(origin)
    const identity =
      origin.kind === 'dns'
        ? ({ kind: 'dns', name: origin.host } as const)
        : ({ kind: 'ip', address: origin.host } as const)
    return shown.map(
      (presented) => evaluateTrust({ presented, identity, policy, now: toUnixMs(NOW) }).kind === 'trusted',
    )
  } catch (error) {
    if (error instanceof PinfetchError) return shown.map(() => false)
    throw error
  }
}

async function errorsOf({ recorded, before }: Scene, candidate: Published): Promise<readonly string[]> {
  const findings = await lint({ candidate, before, seen: recorded.seen, pollSeconds: 300, now: NOW })
  return findings.filter(({ severity }) => severity === 'error').map(({ id }) => id)
}

const scenes = recordings.flatMap((recorded, index) => [
  sceneOf(recorded, 'own'),
  ...(index % 3 === 0 ? [sceneOf(recorded, 'partner')] : []),
])
const titled = scenes.map((scene) => [`${scene.recorded.kind}, ${scene.entry.keyControl}`, scene] as const)

describe('recorded hosts', () => {
  test('are of 30 kinds at least, and a client accepts each of them as it is pinned', async () => {
    expect(recordings.length).toBeGreaterThanOrEqual(30)
    for (const scene of scenes) {
      const verdict = await accepts(scene.recorded, scene.before)
      expect([scene.recorded.kind, ...verdict]).toEqual([scene.recorded.kind, ...verdict.map(() => true)])
    }
  })

  const outcomes = { broke: 0, harmless: 0 }

  test.each(titled)('%s: no publication that breaks a client passes lint', async (_, scene) => {
    for (const [name, change] of Object.entries(BREAKING)) {
      const candidate = change(scene)
      if (candidate === undefined) continue
      const broke = (await accepts(scene.recorded, candidate)).includes(false)
      const errors = await errorsOf(scene, candidate)
      if (broke) expect([name, errors]).toEqual([name, expect.arrayContaining([expect.any(String)])])
      if (broke) outcomes.broke += 1
    }
  })

  test.each(titled)('%s: no harmless publication is refused', async (_, scene) => {
    for (const [name, change] of Object.entries(HARMLESS)) {
      const candidate = change(scene)
      if (candidate === undefined) continue
      expect([name, await accepts(scene.recorded, candidate)]).toEqual([name, scene.recorded.shown.map(() => true)])
      expect([name, await errorsOf(scene, candidate)]).toEqual([name, []])
      outcomes.harmless += 1
    }
  })

  test('that were 200 harmless publications and more, and hundreds that broke a client', () => {
    expect(outcomes.harmless).toBeGreaterThanOrEqual(200)
    expect(outcomes.broke).toBeGreaterThanOrEqual(600)
  })
})
