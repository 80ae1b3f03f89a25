import 'reflect-metadata'
import { SubjectAlternativeNameExtension, X509Certificate } from '@peculiar/x509'
import { generateKey, type KeyType, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { normalSerial } from '../../src/trust/revoked.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import { certificatesOfPem } from '../../src/x509/pem.ts'
import { hasVectors, vectorLines } from '../support/vectors.ts'

/** What both readers must agree on, byte for byte or instant for instant. */
function ours(der: Uint8Array) {
  const { notBefore, notAfter, serialNumber, spki, issuer, subject, decoded } = parseCertificate(der)
  const names = decoded.subjectAltName ?? []
  return {
    notBefore: Number(notBefore),
    notAfter: Number(notAfter),
    serial: normalSerial(hex(serialNumber)),
    spki: hex(spki),
    issuer: hex(issuer.der),
    subject: hex(subject.der),
    dns: names.flatMap((name) => (name.kind === 'dns' ? [name.text] : [])),
  }
}

function theirs(der: Uint8Array) {
  const certificate = new X509Certificate(Uint8Array.from(der))
  const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? []
  return {
    notBefore: certificate.notBefore.getTime(),
    notAfter: certificate.notAfter.getTime(),
    serial: normalSerial(certificate.serialNumber),
    spki: hex(new Uint8Array(certificate.publicKey.rawData)),
    issuer: hex(new Uint8Array(certificate.issuerName.toArrayBuffer())),
    subject: hex(new Uint8Array(certificate.subjectName.toArrayBuffer())),
    dns: names.filter(({ type }) => type === 'dns').map(({ value }) => value),
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('a reader that is not ours reads the same', () => {
  test.each<KeyType>(['P-256', 'P-384', 'P-521', 'Ed25519', 'Ed448', 'RSA-2048'])(
    'in certificates with a %s key',
    (keyType) => {
      const ca = testCa({ keyType })
      const { der } = ca.issue({
        names: ['a.example.com', '*.b.example.com'],
        ips: ['127.0.0.1', '::1'],
        key: generateKey(keyType),
      })
      for (const one of [der, ca.issuer.der, ca.root.der]) expect(ours(one)).toEqual(theirs(one))
    },
  )

  test.skipIf(!hasVectors('path'))('in every certificate of x509-limbo that both can read', () => {
    interface Row {
      readonly roots: readonly string[]
      readonly intermediates: readonly string[]
      readonly leaf: string
    }
    const ders = vectorLines<Row>('path/limbo.jsonl')
      .flatMap(({ roots, intermediates, leaf }) => [...roots, ...intermediates, leaf])
      .flatMap(certificatesOfPem)
    let compared = 0
    for (const der of new Map(ders.map((one) => [hex(one), one])).values()) {
      const [mine, other] = [read(ours, der), read(theirs, der)]
      if (mine === undefined || other === undefined) continue // ours is the stricter one; what it refuses is its suites' matter
      expect(mine).toEqual(other)
      compared += 1
    }
    expect(compared).toBeGreaterThan(300)
  })
})

function read<T>(reader: (der: Uint8Array) => T, der: Uint8Array): T | undefined {
  try {
    return reader(der)
  } catch {
    return undefined
  }
}
