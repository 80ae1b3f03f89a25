import { toUnixMs, type UnixMs } from '../ports/runtime.ts'
import type { Certificate } from '../x509/certificate.ts'
import { describe } from './path/describe.ts'
import type { CertificationPath } from './path/path.ts'

/**
 * Why a pinned key may soon no longer be found, although it was: a valid path without it stands beside the one that has
 * it, and the one that has it was not the first to be found or loses a CA soon. A server that leaves out a cross-certificate,
 * or a store that drops an old root, then leaves only the path without the pin, and every client at once refuses the host.
 *
 * @param unpinned Valid paths that were passed over because no pinned key is on them.
 * @param findUnpinned Looks for such paths where the search ended before it met one. Asked only when a CA ends soon.
 */
export function findFragility(
  path: CertificationPath,
  unpinned: readonly CertificationPath[],
  findUnpinned: () => readonly CertificationPath[],
  now: UnixMs,
): string | undefined {
  const passedOver = unpinned.find((other) => !isExtendedBy(other, path))
  if (passedOver !== undefined) {
    const bridge = path.certificates.find(({ sha256 }) => !isOn(passedOver, sha256)) ?? path.certificates[0]
    return `a pinned key is on the path only by way of ${describe(bridge)}; another path is valid without it`
  }
  const ending = firstToEnd(path)
  if (ending === undefined || now < ending.notAfter - WARNING_MS) return undefined
  if (!findUnpinned().some((other) => !isOn(other, ending.sha256))) return undefined
  const end = new Date(ending.notAfter).toISOString()
  return `a pinned key is on the path only by way of ${describe(ending)}, which ends at ${end}; another path is valid without it`
}

/** From this instant on the answer may be another one. */
export function fragileFrom(path: CertificationPath): UnixMs | undefined {
  const ending = firstToEnd(path)
  return ending === undefined ? undefined : toUnixMs(ending.notAfter - WARNING_MS)
}

/** The end entity is left out: it is replaced all the time, and its key goes on or has a backup. */
const firstToEnd = ({ certificates }: CertificationPath): Certificate | undefined =>
  certificates.slice(1).toSorted((a, b) => a.notAfter - b.notAfter)[0]

/** An anchor below the pinned root: the same way, of which the search merely looked at the lower part first. */
const isExtendedBy = (other: CertificationPath, path: CertificationPath): boolean =>
  other.certificates.every(({ sha256 }, position) => path.certificates[position]?.sha256 === sha256)

const isOn = ({ certificates }: CertificationPath, sha256: string): boolean =>
  certificates.some((certificate) => certificate.sha256 === sha256)

const WARNING_MS = 30 * 86_400_000 // a manifest with other pins is signed and everywhere by then
