import type { Finding } from '../../errors/errors.ts'
import { toUnixMs, type UnixMs } from '../../ports/runtime.ts'
import { contentOf, DerError, DerReader, TAG } from '../../x509/der.ts'
import { finding } from './finding.ts'

/**
 * A SignedCertificateTimestamp of version 1 (RFC 6962 §3.2): a log's promise to publish a certificate. Read, and not yet
 * believed. Binary members are views of the bytes as sent, because the log signed those.
 */
export interface Sct {
  /** base64 of the SHA-256 of the log's key, as log lists write it. */
  readonly logId: string
  readonly timestamp: UnixMs
  /** The eight octets of `timestamp`. */
  readonly timestampOctets: Uint8Array
  /** CtExtensions with their length in front; logs of the static API put the leaf's index there. */
  readonly extensions: Uint8Array
  /** HashAlgorithm and SignatureAlgorithm of TLS 1.2 (RFC 5246 §7.4.1.4.1). */
  readonly hashAlgorithm: number
  readonly signatureAlgorithm: number
  readonly signature: Uint8Array
}

/** A finding for each that cannot be read: one log's mistake takes nothing from the others. */
export type ParsedSct = { readonly sct: Sct } | { readonly finding: Finding }

/**
 * Reads the value of the certificate's or the OCSP response's extension: an OCTET STRING around a
 * SignedCertificateTimestampList (RFC 6962 §3.3). A list whose parts do not fit into each other has no parts at all.
 */
export function parseSctList(extnValue: Uint8Array): readonly ParsedSct[] | Finding {
  const list = octetStringOf(extnValue)
  if (list === undefined || list.length < 2 || lengthAt(list, 0) !== list.length - 2) return malformedList()
  const scts: ParsedSct[] = []
  for (let at = 2; at < list.length; ) {
    if (scts.length === MAX_SCTS) return finding('ERR_TRUST_SCT_LIST_TOO_LARGE', `more than ${MAX_SCTS} SCTs`)
    const start = at + 2
    if (start > list.length) return malformedList()
    const end = start + lengthAt(list, at)
    if (end === start || end > list.length) return malformedList() // SerializedSCT<1..2^16-1>
    scts.push(parseSct(list.subarray(start, end)))
    at = end
  }
  return scts.length === 0 ? malformedList() : scts // SerializedSCT sct_list<1..2^16-1>
}

function parseSct(bytes: Uint8Array): ParsedSct {
  const version = bytes[0]
  if (version !== V1) {
    return {
      finding: finding('ERR_TRUST_SCT_UNSUPPORTED_VERSION', `expected an SCT of version 0 (v1), saw ${version}`),
    }
  }
  if (bytes.length < EXTENSIONS + 2) return malformedSct()
  const extensionsEnd = EXTENSIONS + 2 + lengthAt(bytes, EXTENSIONS)
  const signatureStart = extensionsEnd + 4 // after two algorithms and the length
  if (bytes.length < signatureStart) return malformedSct()
  if (bytes.length !== signatureStart + lengthAt(bytes, extensionsEnd + 2)) return malformedSct()
  const view = viewOf(bytes)
  return {
    sct: {
      logId: Buffer.from(bytes.subarray(LOG_ID, TIMESTAMP)).toString('base64'),
      timestamp: toUnixMs(Number(view.getBigUint64(TIMESTAMP))), // what a double rounds is years away
      timestampOctets: bytes.subarray(TIMESTAMP, EXTENSIONS),
      extensions: bytes.subarray(EXTENSIONS, extensionsEnd),
      hashAlgorithm: view.getUint8(extensionsEnd),
      signatureAlgorithm: view.getUint8(extensionsEnd + 1),
      signature: bytes.subarray(signatureStart),
    },
  }
}

function octetStringOf(extnValue: Uint8Array): Uint8Array | undefined {
  try {
    const reader = new DerReader(extnValue)
    const content = contentOf(reader.read(TAG.octetString))
    return reader.atEnd ? content : undefined
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

const malformedList = (): Finding =>
  finding('ERR_TRUST_SCT_LIST_MALFORMED', 'the SCT list is empty, or its parts do not fit into each other')

const malformedSct = (): ParsedSct => ({
  finding: finding('ERR_TRUST_SCT_MALFORMED', 'an SCT is cut short, or longer than its parts'),
})

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength)
const lengthAt = (bytes: Uint8Array, at: number): number => viewOf(bytes).getUint16(at)

const V1 = 0
const LOG_ID = 1
const TIMESTAMP = 33
const EXTENSIONS = 41

const MAX_SCTS = 32 // certificates in use have two to five; each may cost a signature check
