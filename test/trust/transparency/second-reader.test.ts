import { testCa } from 'pinfetch/testing'
import { Certificate as PkijsCertificate, verifySCTsForCertificate } from 'pkijs'
import { expect, test } from 'vitest'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import { checkTransparency, DEFAULT_TRANSPARENCY } from '../../../src/trust/transparency/check.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import { generateKey } from '../../../src/x509/generate.ts'
import { logged, sct, testLog, testLogList } from '../../support/transparency.ts'

const NOW = Date.UTC(2030, 0, 1)
const ca = testCa({ now: NOW })
const logs = ['P-256', 'RSA-2048', 'P-256'].map((type) => testLog({ key: generateKey(type as 'P-256') }))

// Both share this project's writer of SCTs; where it is wrong, they must be wrong in the same way to agree.
test.each([0, 90, 200, 1_000])('another implementation finds the same SCTs signed, with %d names', async (count) => {
  const names = Array.from({ length: count + 1 }, (_, at) => `${at}.example.com`)
  const forged = new Set([count % 3])
  const certificate = logged(ca, { names }, (entry) =>
    logs.map((log, at) => sct(log, entry, { timestamp: NOW - 1_000, garbage: forged.has(at) })),
  )
  const verdict = checkTransparency({
    certificate: parseCertificate(certificate.der),
    issuer: parseCertificate(ca.issuer.der),
    logList: testLogList(logs, NOW),
    now: toUnixMs(NOW),
    policy: DEFAULT_TRANSPARENCY,
  })
  const ours = verdict.status === 'unchecked' ? [] : verdict.scts.map(({ finding }) => finding === undefined)
  const theirs = await verifySCTsForCertificate(
    PkijsCertificate.fromBER(certificate.der),
    PkijsCertificate.fromBER(ca.issuer.der),
    logs.map(({ listed: { log_id, key } }) => ({ log_id, key })),
  )
  expect(ours).toEqual(logs.map((_, at) => !forged.has(at)))
  expect(theirs).toEqual(ours)
})
