import { expect, test } from 'vitest'
import { testCa } from '../../../src/testing/ca.ts'
import { chainOf, expectRefusal, judge, NOW } from './support.ts'

const ca = testCa({ now: NOW })

test.each([
  ['serverAuth', '1.3.6.1.5.5.7.3.1'],
  ['clientAuth', '1.3.6.1.5.5.7.3.2'],
] as const)('%s asks for a key that may sign: both ends of TLS 1.3 sign the handshake', (purpose, oid) => {
  const issued = (usage: 'digitalSignature' | 'keyAgreement') =>
    chainOf(ca.issue({ extendedKeyUsage: [purpose], keyUsage: [usage] }))
  expect(judge(issued('digitalSignature'), [ca.root], { extendedKeyUsage: [oid] }).kind).toBe('valid')
  expectRefusal(judge(issued('keyAgreement'), [ca.root], { extendedKeyUsage: [oid] }), 'ERR_TRUST_KEY_USAGE', 0)
})
