import { networkInterfaces } from 'node:os'
import tls from 'node:tls'
import { surroundings } from '../client/posture.ts'
import { systemRuntime } from '../ports/system.ts'
import { offeredGroups } from '../transport/groups.ts'
import type { Machine } from './doctor-surroundings.ts'
import type { Io } from './io.ts'

/** Reads both clocks now, and says at its end how far they went apart. */
export function watchClocks(io: Io): () => number {
  const { monotonic } = systemRuntime.clock
  const [wall, steady] = [io.now(), monotonic()]
  return () => io.now() - wall - (monotonic() - steady)
}

/** Reads the process. Of what `io.machine` says, that counts. */
export function readMachine(io: Io, driftMs: number): Machine {
  const { flags, replaced } = surroundings()
  return {
    env: io.env,
    flags,
    replaced,
    node: process.versions.node,
    openssl: process.versions.openssl,
    hasHybrid: offeredGroups().includes('MLKEM'),
    anchors: anchorsOfNode(),
    interfaces: outwardInterfaces(),
    now: io.now(),
    driftMs,
    ...io.machine,
  }
}

export function outwardInterfaces(): Machine['interfaces'] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.filter(({ internal }) => !internal).map(({ address }) => ({ name, address })),
  )
}

/** Node tells what it trusts from 22.15 on. */
function anchorsOfNode(): Machine['anchors'] {
  const { getCACertificates } = tls as { getCACertificates?: (type: 'default') => readonly string[] }
  const bundled = tls.rootCertificates.length
  if (getCACertificates === undefined) return { bundled, added: undefined }
  const own = new Set(tls.rootCertificates)
  return { bundled, added: getCACertificates('default').filter((pem) => !own.has(pem)).length }
}
