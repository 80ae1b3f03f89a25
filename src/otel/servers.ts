import type { Attributes } from '@opentelemetry/api'
import { ATTRIBUTE } from './names.ts'

/** The attributes of a server by the host of an event; those beyond the first so many are one, named `_other`. */
export function createServers(most: number): (host: string) => Attributes {
  const known = new Map<string, Attributes>()
  return (host) => {
    const before = known.get(host)
    if (before !== undefined) return before
    if (known.size >= most) return OTHER
    const attributes = serverOf(host)
    known.set(host, attributes)
    return attributes
  }
}

/** `api.example`, `api.example:8443`, `[::1]:8443`, as events name origins. */
export function serverOf(host: string): Attributes {
  const [, address = host, , port] = /^(\[[^\]]+\]|[^:]+)(:(\d+))?$/.exec(host) ?? []
  return {
    [ATTRIBUTE.serverAddress]: address.replace(/^\[|\]$/g, ''),
    [ATTRIBUTE.serverPort]: port === undefined ? 443 : Number(port),
  }
}

const OTHER: Attributes = Object.freeze({ [ATTRIBUTE.serverAddress]: '_other' })
