import { hash } from 'node:crypto'
import { BoundedMap } from '../../encoding/bounded-map.ts'
import type { ClientEvent } from '../../events/events.ts'
import type { UnixMs } from '../../ports/runtime.ts'
import { parseCertificate } from '../../x509/certificate.ts'
import { DerError } from '../../x509/der.ts'
import { shortened } from './meaning.ts'

/** An event, and when it was told: few of them say so themselves. */
export interface ToldEvent {
  readonly event: ClientEvent
  readonly at: UnixMs
}

export const PRODUCT = Object.freeze({ name: 'pinfetch', vendor: 'pinfetch', version: '0.1.0' })

export interface CertificateFacts {
  /** SHA-256 of the certificate, lower-case hexadecimal. */
  readonly sha256: string
  /** Absent for what is no certificate. */
  readonly parsed?: {
    readonly version: number
    readonly subject: string
    readonly issuer: string
    /** Upper-case hexadecimal. */
    readonly serial: string
    readonly notBefore: UnixMs
    readonly notAfter: UnixMs
    readonly names: readonly AlternativeName[]
    readonly isSelfIssued: boolean
  }
}

interface AlternativeName {
  readonly type: 'DNS' | 'IP'
  readonly name: string
}

/** What a record says of a certificate. A peer may show anything: what cannot be read has a digest alone. */
export function factsOf(der: Uint8Array): CertificateFacts {
  const known = seen.get(der)
  if (known !== undefined) return known
  const sha256 = hash('sha256', der, 'hex')
  const read = facts.get(sha256) ?? readFacts(der, sha256)
  facts.set(sha256, read)
  seen.set(der, read)
  return read
}

function readFacts(der: Uint8Array, sha256: string): CertificateFacts {
  try {
    const { version, subject, issuer, serialNumber, notBefore, notAfter, decoded, isSelfIssued } = parseCertificate(der)
    const names = (decoded.subjectAltName ?? []).slice(0, MAX_ENTRIES).flatMap((name): AlternativeName[] => {
      if (name.kind === 'dns') return [{ type: 'DNS', name: printable(name.text) }]
      return name.kind === 'ip' ? [{ type: 'IP', name: addressOf(name.octets) }] : []
    })
    const hex = Buffer.from(serialNumber).toString('hex').toUpperCase()
    const serial = hex.replace(/^00(?=.)/, '').slice(0, MAX_DIGITS) // the octet that keeps an INTEGER positive
    const [subjectText, issuerText] = [shortened(subject.text), shortened(issuer.text)]
    return {
      sha256,
      parsed: { version, subject: subjectText, issuer: issuerText, serial, notBefore, notAfter, names, isSelfIssued },
    }
  } catch (error) {
    if (error instanceof DerError) return { sha256 }
    throw error
  }
}

/** All that an event says beside its type, without bytes, and no longer than a record may be. */
export function detailsOf(event: ClientEvent): Readonly<Record<string, unknown>> {
  const { type: _, ...rest } = event
  return bounded(rest) as Readonly<Record<string, unknown>>
}

/** No longer than a record may be, and without bytes. */
export function bounded(value: unknown): unknown {
  if (typeof value === 'string') return shortened(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value))
    return value
      .filter((one) => !isBytes(one))
      .slice(0, MAX_ENTRIES)
      .map(bounded)
  const entries = Object.entries(value).filter(([, one]) => one !== undefined && !isBytes(one))
  return Object.fromEntries(entries.map(([name, one]) => [name, bounded(one)]))
}

/** Host and port of what events call the host. */
export function endpointOf(host: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain = host, port = '443'] = /^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(host) ?? []
  return { host: bracketed ?? plain, port: Number(port) }
}

/** A name in a certificate is whatever its maker wrote. */
const printable = (text: string): string => shortened(text.replace(/[^\x21-\x7e]/g, '?'))

const isBytes = (value: unknown): boolean => value instanceof Uint8Array

/** RFC 5952 shortens further; every reader takes the long form. */
function addressOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  return (
    Buffer.from(bytes)
      .toString('hex')
      .match(/.{1,4}/g) ?? []
  ).join(':')
}

const facts = new BoundedMap<string, CertificateFacts>(256)
const seen = new WeakMap<Uint8Array, CertificateFacts>() // the same octets stand behind every connection of a session

const MAX_ENTRIES = 20
const MAX_DIGITS = 100
