import { testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { examineKeys, examineLifetime } from '../../src/cli/doctor-certificates.ts'
import type { CertificationPath } from '../../src/trust/path/path.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'

const DAY = 86_400_000
const ca = testCa()
const issued = (day: string, days: number) => {
  const notBefore = Date.parse(day)
  return parseCertificate(ca.issue({ notBefore, notAfter: notBefore + days * DAY - 1_000 }).der)
}

test.each([
  ['2020-09-01', 398],
  ['2026-03-14', 398],
  ['2026-03-15', 200],
  ['2027-03-14', 200],
  ['2027-03-15', 100],
  ['2029-03-14', 100],
  ['2029-03-15', 47],
])('a public CA may issue for so many days, on %s: %i', (day, most) => {
  expect(examineLifetime(issued(day, most), true)).toMatchObject({ severity: 'ok' })
  expect(examineLifetime(issued(day, most + 1), true)).toMatchObject({
    id: 'SERVER-LIFETIME',
    severity: 'warning',
    message: `issued for ${most + 1} days by a public CA, where ${most} is the most`,
  })
})

test('a private CA may issue for 825 days; a part of a day is a day', () => {
  expect(examineLifetime(issued('2029-03-15', 825), false)).toMatchObject({ severity: 'ok' })
  expect(examineLifetime(issued('2029-03-15', 825.01), false)).toMatchObject({
    severity: 'warning',
    message: 'issued for 826 days by a private CA, where 825 is the most',
  })
})

test.each([
  ['RSA-2048', '2030-12-31', 'ok'],
  ['RSA-2048', '2031-01-01', 'warning'],
  ['RSA-3072', '2031-01-01', 'ok'],
  ['P-256', '2031-01-01', 'ok'],
] as const)('%s, valid until %s: %s', (keyType, until, severity) => {
  const certificate = parseCertificate(ca.issue({ keyType, notAfter: Date.parse(until) }).der)
  expect(examineKeys(pathOf(certificate))).toMatchObject([{ id: 'SERVER-KEY', severity }])
})

test('of a CA it is told, and lowers nothing', () => {
  const old = testCa({ keyType: 'RSA-2048' })
  const [endEntity, ...issuers] = [old.issue(), old.issuer, old.root].map(({ der }) => parseCertificate(der))
  if (endEntity === undefined) throw new Error('no certificate')
  const path: CertificationPath = { ...pathOf(endEntity), certificates: [endEntity, ...issuers] }
  expect(examineKeys(path).map(({ severity }) => severity)).toEqual(['ok', 'info', 'info'])
})

function pathOf(endEntity: ReturnType<typeof parseCertificate>): CertificationPath {
  return { certificates: [endEntity] } as unknown as CertificationPath
}
