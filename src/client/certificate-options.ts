import { resolve } from 'node:path'
import * as z from 'zod'
import type { KeyedCertificate } from '../transport/client-certificate.ts'

/** A certificate and its key as PEM text. After the client’s own certificate come its issuers, in order. */
export interface PemIdentity {
  readonly cert: string
  readonly key: string
  readonly passphrase?: string
}

/**
 * A key that stays in an OpenSSL engine, such as a PKCS #11 token; as for `tls.createSecureContext`. The engine is given by its
 * name, `pkcs11`, and found below the folder that the environment variable OPENSSL_ENGINES names: by its path, OpenSSL would load
 * it for one connection and not for a second.
 */
export interface EngineKey {
  /** `pkcs11`. */
  readonly privateKeyEngine: string
  /** What the engine knows the key by: for `pkcs11` a URI (RFC 7512). */
  readonly privateKeyIdentifier: string
}

export interface Renewable {
  /**
   * Called when two thirds of the certificate’s life are over, and again with growing pauses until it answers with one that is
   * valid. What it answers is used from the next connection on; keeping it is up to you.
   */
  readonly renew?: () => Promise<PemIdentity>
}

/** PEM files of certificate and key; both are followed. */
export interface IdentityFiles {
  /** PEM: the certificate, then those that issued it. */
  readonly certFile: string
  /** PEM: the private key. */
  readonly keyFile: string
  /** Of a key that is encrypted. */
  readonly passphrase?: string
}

/** A function that gets certificate and key: from a vault, or an ACME server. */
export interface IdentityLoader {
  /** Called at the start, after `refreshMs`, when two thirds of the certificate’s life are over, and when `watch` says so. */
  readonly load: () => Promise<PemIdentity>
  /** Default: never between the start and two thirds of the life. */
  readonly refreshMs?: number
  /** Called once, at the start; each `changed()` leads to a `load`. May return what ends the subscription. */
  readonly watch?: (changed: () => void) => unknown
}

/**
 * The client’s own certificate for mutual TLS: PEM text, files that are watched, or a function that gets it. It is validated
 * whenever it is loaded, and new connections use the newest that was valid.
 */
export type CertificateOption =
  | (PemIdentity & Renewable)
  | ({ readonly cert: string } & EngineKey)
  | (IdentityFiles & Renewable)
  | ({ readonly certFile: string } & EngineKey)
  | IdentityLoader

export type ResolvedCertificate =
  | { readonly kind: 'given'; readonly material: KeyedCertificate; readonly renew?: Renewable['renew'] }
  | {
      readonly kind: 'files'
      readonly certFile: string
      /** Absent where an engine holds the key. */
      readonly keyFile?: string
      readonly with: { readonly passphrase?: string } | EngineKey
      readonly renew?: Renewable['renew']
    }
  | ({ readonly kind: 'loader' } & IdentityLoader)

const text = z.string().min(1).optional()
const fn = <T>() => z.custom<T>((value) => typeof value === 'function', 'expected a function').optional()

const Given = z.strictObject({
  cert: text,
  key: text,
  certFile: text,
  keyFile: text,
  passphrase: z.string().optional(),
  privateKeyEngine: z
    .string()
    .regex(/^[\w-]+$/, 'expected the name of an engine below $OPENSSL_ENGINES, not a path')
    .optional(),
  privateKeyIdentifier: text,
  load: fn<IdentityLoader['load']>(),
  refreshMs: z.int().min(1_000).optional(),
  watch: fn<NonNullable<IdentityLoader['watch']>>(),
  renew: fn<NonNullable<Renewable['renew']>>(),
})

/** One shape for all, so that a message names the member that is missing or too many and not a list of unions. */
export const CertificateSchema = Given.transform((given, context): ResolvedCertificate => {
  const present = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name]))
  const shape = SHAPES.find(([first]) => present.includes(first) && (first !== 'cert' || !present.includes('certFile')))
  const inEngine = present.includes('privateKeyEngine')
  const [first, plain, engine, optional] = shape ?? SHAPES[0]
  const needed = [first, ...(inEngine ? engine : plain)]
  const allowed = [...needed, ...(inEngine ? [] : optional)]
  const missing = needed.find((name) => !present.includes(name))
  const odd = present.find((name) => !allowed.includes(name))
  const issue = (name: string, message: string) => {
    context.issues.push({ code: 'custom', path: [name], message, input: given })
    return z.NEVER
  }
  if (missing !== undefined) return issue(missing, 'expected beside what is given')
  if (odd !== undefined) return issue(odd, `does not go with ${first}`)
  return resolvedOf(given)
})

type Shape = readonly [first: string, plain: readonly string[], engine: readonly string[], optional: readonly string[]]
const ENGINE = ['privateKeyEngine', 'privateKeyIdentifier']
const SHAPES: readonly [Shape, ...Shape[]] = [
  ['cert', ['key'], ENGINE, ['passphrase', 'renew']],
  ['certFile', ['keyFile'], ENGINE, ['passphrase', 'renew']],
  ['load', [], ['load'], ['refreshMs', 'watch']],
]

function resolvedOf(given: z.infer<typeof Given>): ResolvedCertificate {
  const { cert = '', key = '', certFile, keyFile, passphrase, load, refreshMs, watch, renew } = given
  const { privateKeyEngine, privateKeyIdentifier } = given
  const inEngine = privateKeyEngine !== undefined && privateKeyIdentifier !== undefined
  const engine = inEngine ? { privateKeyEngine, privateKeyIdentifier } : undefined
  const opened = passphrase === undefined ? {} : { passphrase }
  const renewal = renew === undefined ? {} : { renew }
  if (load !== undefined) {
    return {
      kind: 'loader',
      load,
      ...(refreshMs === undefined ? {} : { refreshMs }),
      ...(watch === undefined ? {} : { watch }),
    }
  }
  if (certFile !== undefined) {
    const own = keyFile === undefined ? {} : { keyFile: resolve(keyFile) }
    return { kind: 'files', certFile: resolve(certFile), ...own, with: engine ?? opened, ...renewal }
  }
  return { kind: 'given', material: engine === undefined ? { cert, key, ...opened } : { cert, ...engine }, ...renewal }
}
