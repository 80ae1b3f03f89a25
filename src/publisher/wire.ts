import type { PinText } from '../encoding/pin.ts'

/*
 * The wire form of what a publisher writes: instants as `YYYY-MM-DDTHH:MM:SSZ`, durations in seconds. Spelt out, so that a
 * reader finds the members here and the schema library stays out of the public types. test/publisher/wire.test.ts holds it
 * against the schema that the client reads with.
 */

export interface HostInput {
  /** A host, `*.host` (one label) or `**.host` (the apex and any depth), in canonical form. */
  readonly host: string
  readonly port?: number
  readonly mode: 'enforce' | 'report'
  readonly enforceFrom?: string
  readonly rampPercent?: number
  readonly pins: readonly PinInput[]
  /** Two groups of positions in `pins` that must both match. */
  readonly allOf?: readonly [readonly number[], readonly number[]]
  readonly singlePin?: true
  readonly keyControl?: 'own' | 'partner'
  readonly onStale?: 'block' | 'report'
  readonly revocation?: RevocationInput
  readonly requireSct?: boolean
  readonly minTlsVersion?: '1.2' | '1.3'
  readonly reason?: string
  readonly reviewBy?: string
  readonly clientCertificate?: 'required' | 'optional'
  readonly trustAnchors?: readonly string[]
  readonly expectedUri?: string
  readonly allowedAddresses?: readonly string[]
  readonly maxConnectionAge?: number
  readonly profile?: 'legacy'
  readonly sunset?: string
  readonly contained?: true
}

export interface PinInput {
  readonly spki: PinText
  readonly notBefore?: string
  readonly notAfter?: string
  readonly require?: 'endEntity' | 'issuer'
  readonly label?: string
}

export interface RevocationInput {
  readonly mode: 'report' | 'soft-fail' | 'hard-fail'
  readonly sources?: readonly ('short-lived' | 'staple' | 'cache' | 'crl' | 'ocsp')[]
  readonly depth?: 'endEntity' | 'chain'
  readonly staple?: 'never' | 'if-must-staple' | 'always'
  readonly fetch?: 'background' | 'blocking' | 'never'
}

export interface ManifestMembers {
  readonly epoch: number
  readonly critical?: readonly string[]
  /** How long past the status's expiry the manifest may serve. */
  readonly staleGrace: number
  /** One of `hosts` and `blobs`. */
  readonly hosts?: readonly HostInput[]
  readonly blobs?: readonly {
    readonly sha256: string
    readonly length: number
    readonly shard?: readonly [number, number]
  }[]
  readonly revocations?: RevocationsInput
  readonly undeny?: readonly PinText[]
  readonly anchorSets?: Readonly<Record<string, readonly string[]>>
  readonly ct?: CtInput
  readonly interception?: readonly PinText[]
}

export interface CtInput {
  readonly policy: 'off' | 'report' | 'enforce'
  readonly logList: { readonly timestamp: string; readonly operators: readonly CtOperatorInput[] }
}

/** With the names of the public log lists (log list v3), whose operators can stand here as they are. */
export interface CtOperatorInput {
  readonly name: string
  readonly logs?: readonly CtLogInput[]
  readonly tiled_logs?: readonly CtLogInput[]
}

export interface CtLogInput {
  readonly description?: string
  /** Base64 of the SHA-256 of `key`. */
  readonly log_id: string
  /** Base64 of the SubjectPublicKeyInfo. */
  readonly key: string
  readonly url?: string
  readonly submission_url?: string
  readonly monitoring_url?: string
  readonly mmd?: number
  /** One of them. */
  readonly state: {
    readonly [name in 'pending' | 'qualified' | 'usable' | 'readonly' | 'retired' | 'rejected']?: {
      readonly timestamp: string
    }
  }
  readonly temporal_interval?: { readonly start_inclusive: string; readonly end_exclusive: string }
}

export interface RevocationsInput {
  readonly spki?: readonly {
    readonly sha256: PinText
    readonly since: string
    readonly reason: string
    readonly hosts?: readonly string[]
  }[]
  readonly issuerSerial?: readonly { readonly issuerSpkiSha256: PinText; readonly serials: readonly string[] }[]
  readonly certificate?: readonly { readonly sha256: string }[]
  readonly distrustAfter?: readonly {
    readonly spkiSha256: PinText
    readonly notBefore?: string
    readonly sctNotAfter?: string
  }[]
  readonly unrevoked?: readonly UnrevokedInput[]
}

/** What was revoked and may serve again, in the words that revoked it. Keep it until the last manifest that revoked has expired. */
export type UnrevokedInput =
  | {
      readonly sha256: PinText
      readonly since?: string
      readonly hosts?: readonly string[]
      readonly reason: string
    }
  | { readonly issuerSpkiSha256: PinText; readonly serials: readonly string[]; readonly reason: string }
  | { readonly sha256: string; readonly reason: string }
  | {
      readonly spkiSha256: PinText
      readonly notBefore?: string
      readonly sctNotAfter?: string
      readonly reason: string
    }

export interface StatusMembers {
  readonly epoch: number
  readonly critical?: readonly string[]
  readonly root: { readonly version: number }
  readonly manifest: ManifestPointerInput
  readonly canary?: { readonly manifest: ManifestPointerInput; readonly percent: number; readonly salt: string }
  readonly deny?: readonly { readonly spki: PinText; readonly hosts?: readonly string[]; readonly reason: string }[]
  readonly poll: { readonly interval: number; readonly spread: number }
}

/** The three facts are about the payload's bytes. */
export interface ManifestPointerInput {
  readonly version: number
  readonly length: number
  readonly sha256: string
}
