import type { CanonicalHost } from '../encoding/host.ts'
import { patternsOver } from '../encoding/host-pattern.ts'
import { type HostTable, hostKey } from './host-table.ts'
import type { HostEntry } from './schema.ts'

export type HostLookup = (host: CanonicalHost, port: number) => HostEntry | undefined

/**
 * Finds the entry for a host: the most specific pattern wins alone; among entries of one pattern the one that names the port
 * comes before the one that names none, which serves every port.
 */
export function createLookup(hosts: HostTable): HostLookup {
  return (host, port) => {
    for (const pattern of patternsOver(host)) {
      const entry = hosts.get(hostKey(pattern, port)) ?? hosts.get(pattern)
      if (entry !== undefined) return entry
    }
    return undefined
  }
}
