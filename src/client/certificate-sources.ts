import type { Emit } from '../events/events.ts'
import { frozenMount } from '../manifest/watch.ts'
import type { Cancel, Runtime, WatchFolder } from '../ports/runtime.ts'
import type { KeyedCertificate } from '../transport/client-certificate.ts'
import { exposureOf, readFiles, watchFiles } from './certificate-files.ts'
import type { ResolvedCertificate } from './certificate-options.ts'

export interface CertificateWorld {
  readonly runtime: Runtime
  readonly watchFolder: WatchFolder
  readonly emit: Emit
}

type FileSource = Extract<ResolvedCertificate, { kind: 'files' }>
type LoaderSource = Extract<ResolvedCertificate, { kind: 'loader' }>

/**
 * A pair that is refused is looked at again a moment later, for whoever writes one file after the other; what is refused then is
 * told once.
 */
export function beginFiles(
  source: FileSource,
  world: CertificateWorld,
  adopt: (material: KeyedCertificate) => void,
  refuse: (error: unknown) => void,
): Cancel {
  const { certFile, keyFile } = source
  let known = ''
  let refused: { readonly digest: string; readonly since: number; readonly isTold: boolean } | undefined
  let ended = false

  const load = (): void => {
    const { material, digest } = readFiles(source)
    if (digest === known) return
    try {
      adopt(material)
    } catch (error) {
      throw new RefusedFiles(digest, error)
    }
    known = digest
    warnOfExposure()
  }
  const warnOfExposure = (): void => {
    const effect = exposureOf(keyFile)
    if (effect !== undefined)
      queueMicrotask(() => world.emit({ type: 'posture', subject: `certificate: ${keyFile}`, effect }))
  }
  const look = (): boolean => {
    try {
      load()
      refused = undefined
      return true
    } catch (error) {
      const { digest, reason } = error instanceof RefusedFiles ? error : { digest: String(error), reason: error }
      const now = world.runtime.clock.monotonic()
      if (refused?.digest !== digest) refused = { digest, since: now, isTold: false }
      if (!refused.isTold && now - refused.since >= TELL_AFTER_MS) {
        refused = { ...refused, isTold: true }
        refuse(reason)
      }
      return false
    }
  }

  try {
    load()
  } catch (error) {
    throw error instanceof RefusedFiles ? error.reason : error
  }
  const paths = keyFile === undefined ? [certFile] : [certFile, keyFile]
  for (const path of paths) {
    frozenMount(path).then((message) => {
      if (message !== undefined && !ended) world.emit({ type: 'certificate.source', source: path, message })
    }, refuse)
  }
  const unwatch = watchFiles(paths, look, world)
  return () => {
    ended = true
    unwatch()
  }
}

export function beginLoader(
  { refreshMs, watch }: LoaderSource,
  { runtime }: CertificateWorld,
  start: () => Promise<void>,
  refuse: (error: unknown) => void,
): Cancel {
  let ended = false
  let cancelRefresh: Cancel = () => {}
  const refresh = (): void => {
    if (refreshMs === undefined || ended) return
    cancelRefresh = runtime.schedule(refreshMs, () => void start().finally(refresh))
  }
  refresh()
  const subscribed = (async () => watch?.(() => void (ended || start())))()
  subscribed.catch(refuse)
  return () => {
    ended = true
    cancelRefresh()
    subscribed.then((end) => (typeof end === 'function' ? end() : undefined)).catch(() => undefined)
  }
}

class RefusedFiles extends Error {
  readonly digest: string
  readonly reason: unknown
  constructor(digest: string, reason: unknown) {
    super('refused')
    this.digest = digest
    this.reason = reason
  }
}

const TELL_AFTER_MS = 400 // less than the pause between two looks
