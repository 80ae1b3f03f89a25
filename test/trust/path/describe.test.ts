import { describe, expect, test } from 'vitest'
import { type IssueOptions, selfSigned } from '../../../src/testing/ca.ts'
import { describe as describeCertificate, shorten } from '../../../src/trust/path/describe.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import * as der from '../../../src/x509/der-writer.ts'
import { NOW } from './support.ts'

const described = (options: IssueOptions): string =>
  describeCertificate(parseCertificate(selfSigned({ now: NOW, ...options }).der))

describe('a certificate in a message', () => {
  test('is its subject, most specific part first (RFC 4514)', () => {
    const subject = [
      ['O', 'Example'],
      ['CN', 'api.example.com'],
    ] as const
    expect(described({ subject })).toBe('CN=api.example.com,O=Example')
  })

  test('is cut where a peer would flood a log', () => {
    expect(described({ subject: 'x'.repeat(5000) })).toBe(`CN=${'x'.repeat(117)}…`)
  })

  test('is its serial number where the subject is empty, as long as one may be (RFC 5280 §4.1.2.2)', () => {
    const nameless = (octets: number) =>
      described({ subject: der.sequence(), serial: new Uint8Array(octets).fill(0x1f) })
    expect(nameless(3)).toBe('serial 1f1f1f')
    expect(nameless(20)).toBe(`serial ${'1f'.repeat(20)}`)
    expect(nameless(21)).toBe(`serial ${'1f'.repeat(20)}`)
  })
})

describe('a text in a message', () => {
  test.each([
    ['ASCII', 'x'],
    ['characters beyond the basic plane', '🔒'],
    ['line breaks', '\n'],
  ])('holds 120 characters at most: %s', (_, character) => {
    expect(shorten(character.repeat(120))).toBe(character.repeat(120))
    expect(shorten(character.repeat(121))).toBe(`${character.repeat(120)}…`)
    expect(shorten(character.repeat(9999))).toBe(`${character.repeat(120)}…`)
  })
})
