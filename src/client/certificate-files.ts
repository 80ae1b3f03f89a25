import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { ConfigurationError } from '../errors/errors.ts'
import type { KeyedCertificate } from '../transport/client-certificate.ts'
import type { ResolvedCertificate } from './certificate-options.ts'

type Files = Extract<ResolvedCertificate, { kind: 'files' }>

export interface ReadFiles {
  readonly material: KeyedCertificate
  /** Equal for equal contents. */
  readonly digest: string
}

/** @throws ConfigurationError `ERR_CONFIG_FILE` */
export function readFiles({ certFile, keyFile, with: others }: Files): ReadFiles {
  const cert = read(certFile)
  const key = keyFile === undefined ? '' : read(keyFile)
  const digest = createHash('sha256').update(`${cert.length} ${cert}${key}`).digest('base64url')
  return { material: 'privateKeyEngine' in others ? { cert, ...others } : { cert, key, ...others }, digest }
}

/** What to tell about a key that others on the machine can read; Windows has no such modes. */
export function exposureOf(keyFile: string | undefined): string | undefined {
  if (keyFile === undefined || process.platform === 'win32') return undefined
  const mode = statSync(keyFile, { throwIfNoEntry: false })?.mode ?? 0
  return (mode & 0o077) === 0
    ? undefined
    : `mode ${(mode & 0o777).toString(8)} lets others read the private key; 600 does not`
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
    throw new ConfigurationError('ERR_CONFIG_FILE', `certificate: ${path} cannot be read (${reason})`, { cause })
  }
}
