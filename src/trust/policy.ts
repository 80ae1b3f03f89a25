import type { AddressBlock } from '../encoding/cidr.ts'
import type { CanonicalHost } from '../encoding/host.ts'
import type { PinText } from '../encoding/pin.ts'
import type { UnixMs } from '../ports/runtime.ts'
import type { AnchorSet } from './anchors.ts'
import type { InterceptionKeys } from './interception.ts'
import type { RevocationPolicy } from './revocation/policy.ts'
import type { RevokedCertificates } from './revoked.ts'
import type { HostTransparency } from './transparency/judge-path.ts'

/** One allowed key. Inactive outside `[notBefore, notAfter)`. */
export interface Pin {
  readonly spki: PinText
  readonly notBefore?: UnixMs
  readonly notAfter?: UnixMs
  /** Where on the verified path the key must stand. Default: anywhere. */
  readonly require?: 'endEntity' | 'issuer'
  readonly label?: string
}

/** A key that no host, or none of the named hosts, may show anywhere on its verified path. Deny beats pin. */
export interface Deny {
  readonly spki: PinText
  readonly reason: string
}

/**
 * Everything the verdict about one origin depends on besides the peer and the clock. Frozen; two policies with the same
 * `generation` are the same policy, so what was judged under one holds under the other.
 */
export interface HostPolicy {
  readonly host: CanonicalHost
  readonly port: number
  /** Where it came from, for messages: the signed manifest, pins in code, or an entry of `pinfetch/dangerous`. */
  readonly source: 'manifest' | 'code' | 'bootstrap' | 'dangerous'
  /** `'report'`: a pin mismatch is reported and let through. Path, name and denies are enforced all the same. */
  readonly mode: 'enforce' | 'report'
  /** Each group must have an active pin on the path; nearly always one group. Empty only for `bootstrap` and `dangerous`. */
  readonly pinGroups: readonly (readonly Pin[])[]
  readonly denies: readonly Deny[]
  /** Absent when the manifest revokes no certificate. */
  readonly revoked?: RevokedCertificates
  /** Absent when the manifest names no interception product. */
  readonly interception?: InterceptionKeys
  readonly revocation: RevocationPolicy
  /** Absent where nothing is asked of SCTs, nor told by them. */
  readonly transparency?: HostTransparency
  readonly minTlsVersion: '1.2' | '1.3'
  /** CBC suites beside those of TLS 1.2, and less of everything: no resumption, no HTTP/2. */
  readonly profile?: 'legacy'
  /** Where a path to the host may end. */
  readonly anchors: AnchorSet
  /** A SPIFFE ID the peer must have; it then takes the place of the host name. */
  readonly expectedUri?: string
  /** A connection older than this gets no further request. Absent: the client's own limit alone counts. */
  readonly maxConnectionAgeMs?: number
  /** No more connections at once. Absent: the client's own limit alone counts. */
  readonly maxConnections?: number
  /** What the manifest narrows the addresses of the host to. */
  readonly allowedAddresses?: readonly AddressBlock[]
  /** 0 when no manifest is in force. */
  readonly manifestVersion: number
  /** Of the root that the manifest was accepted by. */
  readonly rootVersion?: number
  /** Digest over all of the above but the two versions. */
  readonly generation: string
}
