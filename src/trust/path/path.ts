import type { Finding } from '../../errors/errors.ts'
import type { UnixMs } from '../../ports/runtime.ts'
import type { Certificate } from '../../x509/certificate.ts'
import type { KeyUsage } from '../../x509/extensions.ts'
import type { AnchorSet } from '../anchors.ts'
import type { PolicyInputs } from './policies.ts'

/** Certificates that vouch for each other by signature, every one checked against every rule. */
export interface CertificationPath {
  /** End entity first, anchor last; a single one when the end entity is itself an anchor. */
  readonly certificates: readonly [Certificate, ...Certificate[]]
  /** Policies the path is valid for (RFC 5280 §6.1.6), `2.5.29.32.0` for any; empty when it is valid for none in particular. */
  readonly policies: readonly string[]
}

/**
 * `default`: every rule that keeps an attacker out. `cabf`: also the form rules of the CA/Browser Forum's Baseline
 * Requirements. `rfc5280`: RFC 5280 §6 as written, which lets a CA certificate stand as end entity.
 */
export type PathProfile = 'default' | 'cabf' | 'rfc5280'

export interface PathInput extends PolicyInputs {
  /** DER as sent, end entity first; order and superfluous certificates after it do not matter. */
  readonly presented: readonly Uint8Array[]
  readonly anchors: AnchorSet
  readonly now: UnixMs
  readonly profile?: PathProfile
  /** OIDs, all of which the path must allow. Default serverAuth; `[]` is any purpose. */
  readonly extendedKeyUsage?: readonly string[]
  /** Bits the end entity must have if it has the extension. Default digitalSignature where serverAuth or clientAuth is asked for. */
  readonly keyUsage?: readonly KeyUsage[]
  /** Most intermediates, self-issued ones not counted. Default 10. */
  readonly maxDepth?: number
  /** A say on each valid path. A finding sends the search on to the next path. */
  readonly acceptPath?: (path: CertificationPath) => Finding | undefined
}

export type PathResult =
  | { readonly kind: 'valid'; readonly path: CertificationPath }
  | {
      readonly kind: 'invalid'
      /** At least one, most specific first. */
      readonly findings: readonly Finding[]
      /** The first path that met every rule and that `acceptPath` refused. */
      readonly refusedPath?: CertificationPath
    }

export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
