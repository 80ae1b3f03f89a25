import { frozenMount } from '../manifest/watch.ts'
import type { Cancel } from '../ports/runtime.ts'
import type { KeyedCertificate } from '../transport/client-certificate.ts'
import { exposureOf, readFiles } from './certificate-files.ts'
import type { ResolvedCertificate } from './certificate-options.ts'
import { type Following, followFiles } from './follow-files.ts'

type FileSource = Extract<ResolvedCertificate, { kind: 'files' }>
type LoaderSource = Extract<ResolvedCertificate, { kind: 'loader' }>

export function beginFiles(
  source: FileSource,
  world: Following,
  adopt: (material: KeyedCertificate) => void,
  refuse: (error: unknown) => void,
): Cancel {
  const { certFile, keyFile } = source
  const { emit } = world
  let known = ''
  let ended = false

  const load = (): void => {
    const { material, digest } = readFiles(source)
    if (digest === known) return
    adopt(material)
    known = digest
    const effect = exposureOf(keyFile)
    if (effect !== undefined)
      queueMicrotask(() => emit({ type: 'posture', subject: `certificate: ${keyFile}`, effect }))
  }

  load()
  const paths = keyFile === undefined ? [certFile] : [certFile, keyFile]
  for (const path of paths) {
    frozenMount(path).then((message) => {
      if (message !== undefined && !ended) emit({ type: 'certificate.source', source: path, message })
    }, refuse)
  }
  const unfollow = followFiles(paths, load, refuse, world)
  return () => {
    ended = true
    unfollow()
  }
}

export function beginLoader(
  { refreshMs, watch }: LoaderSource,
  { runtime }: Following,
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
