import type { CanonicalHost } from '../encoding/host.ts'
import { hostIndex } from '../encoding/host-pattern.ts'
import type { ManifestUpdater, ManifestView } from '../manifest/updater.ts'
import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import type { ResolvedManifest } from './options.ts'

/** One manifest, kept up to date, and the hosts that it speaks for. */
export interface Manager {
  readonly updater: ManifestUpdater
  readonly speaksFor: (host: CanonicalHost) => boolean
  /** The application ships a repository for the first start. */
  readonly isShipped: boolean
  readonly close: () => Promise<void>
}

/** All manifests of a client. No host is spoken for by two: options are refused where two could. */
export interface Managers {
  readonly all: readonly Manager[]
  readonly of: (host: CanonicalHost) => Manager | undefined
  /** What is in force for a host; `undefined` where no manifest speaks for it. */
  readonly view: (host: CanonicalHost) => ManifestView | undefined
  /** The clock, but not before what any of them knows to be past. */
  readonly time: (now: UnixMs) => UnixMs
}

export function createManagers(all: readonly Manager[]): Managers {
  const of = (host: CanonicalHost): Manager | undefined => all.find(({ speaksFor }) => speaksFor(host))
  return {
    all,
    of,
    view: (host) => of(host)?.updater.current(),
    time: (now) => toUnixMs(Math.max(now, ...all.map(({ updater }) => updater.time()))),
  }
}

/** Entries, denies and revocations of a manifest act for the hosts that the application lets it speak for: all by default. */
export function speaksForOf({ hosts }: Pick<ResolvedManifest, 'hosts'>): (host: CanonicalHost) => boolean {
  if (hosts === undefined) return () => true
  const claimed = hostIndex(hosts.map((pattern) => [pattern, true] as const))
  return (host) => claimed(host) === true
}

/** A shipped manifest serves as soon as the source was asked once. */
export async function serving({ updater, isShipped }: Manager): Promise<void> {
  if (isShipped) await updater.firstAttempt
  if (updater.current().bootstrapUntil === undefined) await updater.ready()
}
