import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigurationError } from '../errors/errors.ts'
import { stampOf } from '../manifest/watch.ts'
import type { Cancel, Runtime, WatchFolder } from '../ports/runtime.ts'
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

/**
 * Calls `look` when one of the files is another one than before: at once where the file system tells, otherwise within half a
 * second. As long as `look` answers `false` it is called again; the first call is now, for what changed since the files were read.
 * What counts is the file that a name leads to, so a swapped link (Kubernetes replaces `..data`) is a change.
 */
export function watchFiles(
  paths: readonly string[],
  look: () => boolean,
  { runtime, watchFolder }: { readonly runtime: Runtime; readonly watchFolder: WatchFolder },
): Cancel {
  let seen: string | undefined
  let settled = false
  let ended = false
  let checking = false
  let again = false
  let cancelCheck: Cancel = () => {}

  const check = async (): Promise<void> => {
    again = true
    if (checking) return
    checking = true
    cancelCheck()
    while (again && !ended) {
      again = false
      const stamp = (await Promise.all(paths.map(stampOf))).join('\n') // before they are read: a later change differs
      if (ended || (settled && stamp === seen)) continue
      seen = stamp
      settled = look()
    }
    checking = false
    if (!ended) cancelCheck = runtime.schedule(LOOK_EVERY_MS, () => void check())
  }

  const unwatch = [...new Set(paths.map(dirname))].map((folder) => watchFolder(folder, () => void check()))
  void check()
  return () => {
    ended = true
    cancelCheck()
    for (const end of unwatch) end()
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
    throw new ConfigurationError('ERR_CONFIG_FILE', `certificate: ${path} cannot be read (${reason})`, { cause })
  }
}

const LOOK_EVERY_MS = 500 // network file systems tell nothing; a certificate is replaced everywhere within a second
