import { type IssueOptions, type KeyType, testCa, testLog } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { formatInstant } from '../../../src/manifest/schema.ts'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import { checkTransparency, DEFAULT_TRANSPARENCY } from '../../../src/trust/transparency/check.ts'
import type { LogList } from '../../../src/trust/transparency/logs.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import { generateKey } from '../../../src/x509/generate.ts'

const NOW = Date.UTC(2030, 0, 1)
const DAY = 86_400_000
const COUNT = 115

const keys: readonly KeyType[] = ['P-256', 'RSA-2048', 'P-256', 'P-256']
const logs = keys.map((type, at) =>
  testLog({ operator: `operator ${at}`, key: generateKey(type), isTiled: at % 2 === 1 }),
)
const cas = (['P-256', 'P-384', 'RSA-2048'] as const).map((keyType) => testCa({ keyType, now: NOW }))
const logList: LogList = {
  timestamp: toUnixMs(NOW),
  operators: logs.map(({ operator, isTiled, listed: { temporal_interval: _, ...listed } }) => ({
    name: operator,
    [isTiled ? 'tiled_logs' : 'logs']: [{ ...listed, state: { usable: { timestamp: toUnixMs(0) } } }],
  })),
}

/** No two alike: lifetime, names, key, issuer, extensions and number of SCTs differ. */
function certificateOf(number: number) {
  const ca = cas[number % cas.length] ?? testCa()
  const lifetime = [7, 47, 90, 180, 200, 398][number % 6] ?? 90
  const options: IssueOptions = {
    names: Array.from({ length: 1 + ((number * 7) % 60) }, (_, at) => `${at}.${number}.example.com`),
    keyType: number % 5 === 0 ? 'P-384' : 'P-256',
    notBefore: NOW - DAY,
    notAfter: NOW - DAY + lifetime * DAY,
    ...(number % 4 === 0 ? { ips: ['192.0.2.1'] } : {}),
    loggedIn: logs.slice(0, number < 68 ? 3 : 4),
  }
  return { ca, certificate: ca.issue(options) }
}

test('115 certificates of three CAs carry 392 SCTs of four logs, and each counts (cases 491 to 605)', () => {
  let counted = 0
  for (let number = 0; number < COUNT; number += 1) {
    const { ca, certificate } = certificateOf(number)
    const judge = (issuer: { readonly der: Uint8Array }) =>
      checkTransparency({
        certificate: parseCertificate(certificate.der),
        issuer: parseCertificate(issuer.der),
        logList,
        now: toUnixMs(NOW),
        policy: DEFAULT_TRANSPARENCY,
      })
    const verdict = judge(ca.issuer)
    expect(verdict, `certificate ${number}, ${formatInstant(toUnixMs(NOW))}`).toMatchObject({
      status: 'compliant',
      findings: [],
    })
    counted += 'scts' in verdict ? verdict.scts.length : 0
    expect(judge(ca.root)).toMatchObject({ status: 'noncompliant' }) // each is about its issuer
  }
  expect(counted).toBe(392)
})
