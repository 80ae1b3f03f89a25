import { expect, test } from 'vitest'
import { selfSigned } from '../../../src/testing/ca.ts'
import { readCertificate } from '../../../src/trust/path/certificate-cache.ts'
import { DerError } from '../../../src/x509/der.ts'
import { generateKey } from '../../../src/x509/generate.ts'
import { NOW } from './support.ts'

const FIXED = { now: NOW, key: generateKey('Ed25519'), serial: Uint8Array.of(1) }

test('reads the same octets once', () => {
  const { der } = selfSigned(FIXED)
  const certificate = readCertificate(der)
  expect(certificate).toMatchObject({ der, serialNumber: FIXED.serial })
  expect(readCertificate(Uint8Array.from(der))).toBe(certificate)
})

test('remembers certificates of up to 8192 octets: names by the thousand would fill the memory', () => {
  const filled = (length: number): Uint8Array => {
    const extensions = [{ oid: '1.2.3.4', critical: false, value: new Uint8Array(length) }]
    return selfSigned({ ...FIXED, extensions }).der
  }
  const overhead = filled(4096).length - 4096
  const [largest, larger] = [filled(8192 - overhead), filled(8193 - overhead)]
  expect([largest.length, larger.length]).toEqual([8192, 8193])
  expect(readCertificate(largest)).toBe(readCertificate(largest))
  expect(readCertificate(larger)).not.toBe(readCertificate(larger))
  expect(readCertificate(larger)).toEqual(readCertificate(larger))
})

test('answers with the fault of what is no certificate', () => {
  expect(readCertificate(Uint8Array.of(0x30, 0))).toBeInstanceOf(DerError)
})

test('throws for a buffer that was transferred away: that says nothing about the peer', () => {
  const { der } = selfSigned(FIXED)
  structuredClone(der.buffer, { transfer: [der.buffer as ArrayBuffer] })
  expect(() => readCertificate(der)).toThrow(TypeError)
})
