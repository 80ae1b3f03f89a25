import { readFileSync } from 'node:fs'
import type { TestCertificate } from 'pinfetch/testing'
import { testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { canonicalHost } from '../../src/encoding/host.ts'
import { type PinText, pinOfSpki } from '../../src/encoding/pin.ts'
import { type LintInput, lint } from '../../src/publisher/lint.ts'
import { LINT_RULES, type LintId } from '../../src/publisher/lint-rules.ts'
import type { SeenChain } from '../../src/publisher/seen.ts'
import type { CtInput, HostInput } from '../../src/publisher/wire.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import { publicLog } from '../support/log-list.ts'

const NOW = Date.UTC(2030, 0, 1)
const DAY = 86_400_000
const HOST = 'api.example.com'

const ca = testCa({ now: NOW })
const live = ca.issue({ names: [HOST], now: NOW })
const seen = chainOf(live)
const reserve = ca.issue({ now: NOW }).pin
const other = ca.issue({ now: NOW }).pin
const third = ca.issue({ now: NOW }).pin

const entry = (pins: readonly PinText[], more: Partial<HostInput> = {}): HostInput => ({
  host: HOST,
  mode: 'enforce',
  pins: pins.map((spki) => ({ spki })),
  ...more,
})
const usual = entry([live.pin, reserve])
const instant = (seconds: number): string => new Date(NOW + seconds * 1_000).toISOString().replace('.000Z', 'Z')

interface Case {
  readonly before?: HostInput | readonly HostInput[]
  readonly to: HostInput | readonly HostInput[]
  readonly input?: Partial<LintInput>
  readonly members?: object
  readonly membersBefore?: object
}

async function errorsOf({ before, to, input, members, membersBefore }: Case): Promise<readonly LintId[]> {
  return (
    await findingsOf({
      to,
      ...(before === undefined ? {} : { before }),
      ...(input === undefined ? {} : { input }),
      ...(members === undefined ? {} : { members }),
      ...(membersBefore === undefined ? {} : { membersBefore }),
    })
  )
    .filter(({ severity }) => severity === 'error')
    .map(({ id }) => id)
}

function findingsOf({ before, to, input, members, membersBefore }: Case) {
  return lint({
    candidate: { content: { hosts: [to].flat(), ...members } },
    ...(before === undefined ? {} : { before: { content: { hosts: [before].flat(), ...membersBefore } } }),
    seen: [seen],
    pollSeconds: 300,
    now: NOW,
    ...input,
  })
}

describe('an error for', () => {
  const revoked = { revocations: { spki: [{ sha256: live.pin, since: instant(-60), reason: 'leaked' }] } }
  const dropped = { revocations: { spki: [{ sha256: third, since: instant(-60), reason: 'leaked' }] } }
  const cases: readonly (readonly [title: string, id: LintId, refused: Case, control: Case])[] = [
    [
      'what every client would refuse',
      'refused-by-client',
      { to: entry([live.pin]) },
      { to: entry([live.pin], { singlePin: true }) },
    ],
    [
      'a pattern over a public suffix',
      'public-suffix',
      { to: entry([live.pin, reserve], { host: '*.co.uk' }) },
      { to: entry([live.pin, reserve], { host: '*.example.co.uk' }) },
    ],
    [
      'taking out the pin of the key in use',
      'removes-pin-in-use',
      { before: usual, to: entry([reserve, other]) },
      { before: entry([live.pin, reserve, other]), to: entry([live.pin, other]) },
    ],
    [
      'taking out the one issuer that matched the recorded chain',
      'removes-pin-in-use',
      { before: entry([ca.issuer.pin, reserve], { keyControl: 'partner' }), to: entry([other, reserve]) },
      { before: entry([ca.issuer.pin, live.pin, reserve]), to: entry([ca.issuer.pin, reserve]) },
    ],
    [
      'a position at which the key in use does not stand',
      'removes-pin-in-use',
      {
        before: usual,
        to: { ...usual, pins: [{ spki: live.pin, require: 'issuer' }, { spki: reserve }] },
      },
      { before: usual, to: { ...usual, pins: [{ spki: live.pin, require: 'endEntity' }, { spki: reserve }] } },
    ],
    [
      'a new host none of whose pins its server shows',
      'pins-nothing-live',
      { to: entry([reserve, other]) },
      { to: usual },
    ],
    [
      'pins that are all outside their window',
      'no-active-pin',
      {
        to: {
          ...usual,
          pins: [
            { spki: reserve, notAfter: instant(-1) },
            { spki: other, notAfter: instant(-1) },
          ],
        },
        input: { seen: [] },
      },
      { to: { ...usual, pins: [{ spki: reserve, notAfter: instant(-1) }, { spki: other }] }, input: { seen: [] } },
    ],
    [
      'a revocation of the key in use',
      'blocks-only-live-pin',
      { before: usual, to: usual, members: revoked },
      { before: usual, to: usual, members: dropped },
    ],
    [
      'a deny of the key in use',
      'blocks-only-live-pin',
      { before: usual, to: usual, input: { candidate: denying(usual, live.pin) } },
      { before: usual, to: usual, input: { candidate: denying(usual, reserve) } },
    ],
    [
      'denies that leave no pin, though nobody looked',
      'blocks-only-live-pin',
      { before: usual, to: usual, input: { seen: [], candidate: denying(usual, live.pin, reserve) } },
      { before: usual, to: usual, input: { seen: [], candidate: denying(usual, live.pin) } },
    ],
    [
      'a revoked certificate on the path in use',
      'blocks-only-live-pin',
      { before: usual, to: usual, members: { revocations: { certificate: [{ sha256: seen.path[0]?.sha256 }] } } },
      { before: usual, to: usual, members: { revocations: { certificate: [{ sha256: '0'.repeat(64) }] } } },
    ],
    [
      'a CA distrusted from before the certificate in use was issued',
      'blocks-only-live-pin',
      { before: usual, to: usual, members: distrust(seen.notBefore - DAY) },
      { before: usual, to: usual, members: distrust(seen.notBefore + DAY) },
    ],
    [
      'a revoked serial number on the path in use',
      'blocks-only-live-pin',
      { before: usual, to: usual, members: serial(seen.path[0]?.serial ?? '') },
      { before: usual, to: usual, members: serial('00') },
    ],
    [
      'a host that loses its entry',
      'removes-host',
      { before: [usual, entry([reserve, other], { host: 'b.example.com' })], to: usual },
      {
        before: [usual, entry([reserve, other], { host: 'b.example.com' })],
        to: [usual, entry([reserve, other], { host: '*.example.com' })],
      },
    ],
    [
      'a pin that becomes active within five polls',
      'activates-too-soon',
      { before: usual, to: { ...usual, pins: [...usual.pins, { spki: other, notBefore: instant(1_499) }] } },
      { before: usual, to: { ...usual, pins: [...usual.pins, { spki: other, notBefore: instant(1_501) }] } },
    ],
    [
      'enforcement that starts within five polls',
      'activates-too-soon',
      { before: { ...usual, mode: 'report' }, to: { ...usual, enforceFrom: instant(60) } },
      { to: { ...usual, enforceFrom: instant(60) } }, // nobody knows the host yet
    ],
    [
      'a backup pin that is on the live chain of an own host',
      'backup-on-live-chain',
      { to: entry([live.pin, ca.issuer.pin]) },
      { to: entry([live.pin, ca.issuer.pin], { keyControl: 'partner' }) },
    ],
    [
      'a deny that the status would lose',
      'drops-deny',
      { to: usual, input: { before: denying(usual, other) } },
      { to: usual, members: { undeny: [other] }, input: { before: denying(usual, other) } },
    ],
    [
      'a key that is denied and forgiven at once',
      'undeny-cancels-deny',
      { to: usual, input: { candidate: { ...denying(usual, other), content: { hosts: [usual], undeny: [other] } } } },
      { to: usual, input: { candidate: denying(usual, other) } },
    ],
    [
      'an exception that is over',
      'exception-over',
      { before: usual, to: { ...usual, profile: 'legacy', sunset: instant(-60), reason: 'old' } },
      { before: usual, to: { ...usual, profile: 'legacy', sunset: instant(86_400), reason: 'old' } },
    ],
    [
      'more than a report of four hours under a key kept for emergencies',
      'break-glass-exceeds',
      { before: usual, to: { ...usual, enforceFrom: instant(4 * 3_600 + 60) }, input: { byBreakGlass: true } },
      { before: usual, to: { ...usual, enforceFrom: instant(4 * 3_600) }, input: { byBreakGlass: true } },
    ],
    [
      'a revocation that is gone without a word',
      'drops-revocation',
      { before: usual, membersBefore: dropped, to: usual },
      {
        before: usual,
        membersBefore: dropped,
        to: usual,
        members: { revocations: { unrevoked: [{ sha256: third, reason: 'found again' }] } },
      },
    ],
    [
      'a log list by which no client would judge',
      'log-list-old',
      { before: usual, to: usual, members: listOf(71) },
      { before: usual, to: usual, members: listOf(69) },
    ],
    [
      'a policy that is changed beside such a list',
      'log-list-old',
      { before: usual, membersBefore: listOf(71), to: usual, members: listOf(71, 'enforce') },
      { before: usual, membersBefore: listOf(71), to: usual, members: listOf(71, 'off') },
    ],
    [
      'a log list older than the one in force',
      'log-list-rollback',
      { before: usual, membersBefore: listOf(1), to: usual, members: listOf(2) },
      { before: usual, membersBefore: listOf(2), to: usual, members: listOf(1) },
    ],
  ]

  test.each(cases)('%s: %s', async (_, id, refused, control) => {
    expect(await errorsOf(refused)).toContain(id)
    expect(await errorsOf(control)).toEqual([])
  })

  test('is every rule that is not a warning alone', async () => {
    const warnings: readonly string[] = [
      'retires-live-key',
      'single-pin',
      'partner-on-live-chain',
      'end-entity-only',
      'ends-soon',
      'no-hosts',
    ]
    const tested = new Set(cases.map(([, id]) => id))
    expect(Object.keys(LINT_RULES).filter((id) => !warnings.includes(id) && !tested.has(id as LintId))).toEqual([])
  })
})

describe('what is in force already is warned about and keeps nothing else from being published:', () => {
  const gone = chainOf(ca.issue({ names: [HOST], now: NOW }))
  test.each<[string, Case, LintId]>([
    ['a server that moved on', { before: usual, to: usual, input: { seen: [gone] } }, 'pins-nothing-live'],
    [
      'a key that was denied before',
      { before: usual, to: usual, input: { before: denying(usual, live.pin), candidate: denying(usual, live.pin) } },
      'blocks-only-live-pin',
    ],
    [
      'a reserve that is none',
      { before: entry([live.pin, ca.issuer.pin]), to: entry([live.pin, ca.issuer.pin]) },
      'backup-on-live-chain',
    ],
    [
      'a log list past its time',
      { before: usual, membersBefore: listOf(71), to: usual, members: listOf(71) },
      'log-list-old',
    ],
  ])('%s', async (_, change, id) => {
    expect(await errorsOf(change)).toEqual([])
    expect(await findingsOf(change)).toContainEqual(expect.objectContaining({ id, severity: 'warning' }))
  })
})

describe('a warning for', () => {
  const short = chainOf(ca.issue({ names: [HOST], now: NOW, notBefore: NOW - DAY, notAfter: NOW + 5 * DAY }))
  test.each<[LintId, Case, Case]>([
    [
      'retires-live-key',
      { before: entry([live.pin, ca.issuer.pin, reserve]), to: entry([ca.issuer.pin, reserve]) },
      { to: usual },
    ],
    ['single-pin', { to: entry([live.pin], { singlePin: true }) }, { to: usual }],
    [
      'partner-on-live-chain',
      { to: entry([live.pin, ca.issuer.pin], { keyControl: 'partner' }) },
      { to: entry([live.pin, reserve], { keyControl: 'partner' }) },
    ],
    [
      'end-entity-only',
      { to: entry([pinOf(short), reserve]), input: { seen: [short] } },
      { to: entry([pinOf(short), reserve, ca.issuer.pin]), input: { seen: [short] } },
    ],
    [
      'ends-soon',
      { to: { ...usual, pins: [{ spki: live.pin, notAfter: instant(29 * 86_400) }, { spki: reserve }] } },
      { to: { ...usual, pins: [{ spki: live.pin, notAfter: instant(31 * 86_400) }, { spki: reserve }] } },
    ],
    ['log-list-old', { to: usual, members: listOf(36) }, { to: usual, members: listOf(34) }],
    ['no-hosts', { to: [] }, { to: usual }],
  ])('%s', async (id, warned, control) => {
    expect(await findingsOf(warned)).toContainEqual(expect.objectContaining({ id, severity: 'warning' }))
    expect(await errorsOf(warned)).toEqual([])
    expect((await findingsOf(control)).map((one) => one.id)).not.toContain(id)
  })
})

test('the operator’s guide lists every finding as the table says it', () => {
  const guide = readFileSync(new URL('../../pins/README.md', import.meta.url), 'utf8')
  for (const [id, about] of Object.entries(LINT_RULES)) expect(guide).toContain(`| \`${id}\` | ${about} |`)
})

test('a time that was announced in a manifest before is no surprise when it comes near', async () => {
  const announced = { ...usual, pins: [...usual.pins, { spki: other, notBefore: instant(60) }] }
  const retitled = { ...announced, reason: 'something else changed' }
  expect(await errorsOf({ before: announced, to: retitled })).toEqual([])
  expect(await errorsOf({ before: usual, to: retitled })).toEqual(['activates-too-soon'])
})

test('every finding says what to do, in one line', async () => {
  const found = await findingsOf({ before: usual, to: entry([reserve, other]) })
  expect(found).not.toEqual([])
  for (const { fix, message } of found) {
    expect(fix.length).toBeGreaterThan(10)
    expect(message + fix).not.toContain('\n')
  }
})

function denying(host: HostInput, ...spkis: readonly PinText[]) {
  return { content: { hosts: [host] }, deny: spkis.map((spki) => ({ spki, reason: 'leaked' })) }
}

function listOf(days: number, policy: CtInput['policy'] = 'report'): { readonly ct: CtInput } {
  const { log_id, key, state } = publicLog('a1')
  const logs = [{ log_id, key, state }]
  return { ct: { policy, logList: { timestamp: instant(-days * 86_400), operators: [{ name: 'A', logs }] } } }
}

function distrust(at: number) {
  const notBefore = new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')
  return { revocations: { distrustAfter: [{ spkiSha256: ca.issuer.pin, notBefore }] } }
}

function serial(number: string) {
  const even = number.length % 2 === 0 ? number : `0${number}`
  return { revocations: { issuerSerial: [{ issuerSpkiSha256: ca.issuer.pin, serials: [even] }] } }
}

function chainOf(certificate: TestCertificate): SeenChain {
  const host = canonicalHost(HOST)
  if (host === undefined) throw new Error('not a host')
  const path = certificate.chainWithRoot.map((der) => parseCertificate(der))
  return {
    host,
    port: 443,
    seenAt: NOW,
    notBefore: path[0]?.notBefore ?? 0,
    notAfter: path[0]?.notAfter ?? 0,
    path: path.map(({ spki, sha256, serialNumber }) => ({
      pins: [pinOfSpki(spki), pinOfSpki(spki, 'sha512')],
      sha256,
      serial: Buffer.from(serialNumber)
        .toString('hex')
        .replace(/^0+(?=.)/, ''),
    })),
  }
}

function pinOf(chain: SeenChain): PinText {
  const pin = chain.path[0]?.pins[0]
  if (pin === undefined) throw new Error('an empty chain')
  return pin
}
