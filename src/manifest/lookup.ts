import type { CanonicalHost } from '../encoding/host.ts'
import { hostIndex, type ParsedHostPattern, parseHostPattern } from '../encoding/host-pattern.ts'
import type { HostEntry } from './schema.ts'

export type HostLookup = (host: CanonicalHost, port: number) => HostEntry | undefined

/**
 * Finds the entry for a host: the most specific pattern wins alone; among entries of one pattern the one that names the port
 * comes before the one that names none, which serves every port.
 */
export function createLookup(hosts: readonly HostEntry[]): HostLookup {
  const anyPort: Rule[] = []
  const byPort = new Map<number, Rule[]>()
  for (const entry of hosts) {
    const pattern = parseHostPattern(entry.host)
    if (pattern === undefined) continue // the schema refuses such an entry
    const { port } = entry
    if (port === undefined) anyPort.push([pattern, entry])
    else append(byPort, port, [pattern, entry])
  }
  const onAnyPort = hostIndex(anyPort)
  const indexes = new Map<number, (host: CanonicalHost) => HostEntry | undefined>()
  return (host, port) => {
    const rules = byPort.get(port)
    if (rules === undefined) return onAnyPort(host)
    const index = indexes.get(port) ?? hostIndex([...anyPort, ...rules]) // the later rule of one pattern wins
    indexes.set(port, index)
    return index(host)
  }
}

function append(byPort: Map<number, Rule[]>, port: number, rule: Rule): void {
  const rules = byPort.get(port)
  if (rules === undefined) byPort.set(port, [rule])
  else rules.push(rule)
}

type Rule = readonly [ParsedHostPattern, HostEntry]
