import { createHash } from 'node:crypto'
import { testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { toUnixMs } from '../../../src/ports/runtime.ts'
import type { Sct } from '../../../src/trust/transparency/sct.ts'
import { signedDataOf } from '../../../src/trust/transparency/signed-entry.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import type { CertificateExtension } from '../../../src/x509/extension-writer.ts'
import { generateCertificate, generateKey } from '../../../src/x509/generate.ts'
import { EMBEDDED } from '../../support/transparency.ts'

const NOW = Date.UTC(2030, 0, 1)
const ca = testCa({ now: NOW })
const { spki } = generateKey()
const sct: Sct = {
  logId: '',
  timestamp: toUnixMs(1),
  timestampOctets: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1),
  extensions: Uint8Array.of(0, 1, 9),
  hashAlgorithm: 4,
  signatureAlgorithm: 3,
  signature: new Uint8Array(),
}

/** With these extensions, and otherwise always the same. */
function certificateWith(...extensions: readonly CertificateExtension[]) {
  const { subject, key } = ca.issuer
  const der = generateCertificate({
    subject,
    issuer: subject,
    serial: Uint8Array.of(1),
    notBefore: NOW,
    notAfter: NOW + 1_000,
    spki,
    extensions,
    signer: { privateKey: key.privateKey },
  })
  return parseCertificate(der)
}

/** The digitally-signed struct of RFC 6962 §3.2, about the precertificate of this TBSCertificate. */
function structAbout(tbs: Uint8Array): Uint8Array {
  const keyHash = createHash('sha256').update(ca.issuer.spki).digest()
  const length = Uint8Array.of(tbs.length >> 16, tbs.length >> 8, tbs.length)
  return Buffer.concat([
    Uint8Array.of(0, 0),
    sct.timestampOctets,
    Uint8Array.of(0, 1),
    keyHash,
    length,
    tbs,
    sct.extensions,
  ])
}

const signedBy = (certificate: ReturnType<typeof certificateWith>) =>
  Buffer.from(signedDataOf(sct, 'certificate', certificate, parseCertificate(ca.issuer.der)))

test('the precertificate has its lengths in the shortest form, whatever they are (X.690 §10.1)', () => {
  const list = { oid: EMBEDDED, critical: false, value: Uint8Array.of(4, 2, 0, 0) }
  for (let octets = 0; octets < 270; octets += 1) {
    const other = { oid: '1.2.3.4', critical: false, value: new Uint8Array(octets) }
    const before = certificateWith(other)
    expect(signedBy(certificateWith(other, list)), `${octets} octets`).toEqual(structAbout(before.tbs))
  }
})

test('a certificate without extensions is its own precertificate', () => {
  const plain = certificateWith()
  expect(signedBy(plain)).toEqual(structAbout(plain.tbs))
})
