import { BoundedMap } from '../encoding/bounded-map.ts'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { matchesIdentifiers } from '../trust/identity.ts'
import type { Certificate } from '../x509/certificate.ts'
import type { GeneralName } from '../x509/general-names.ts'

/**
 * Who showed a key first. A key that two hosts share is one secret in two places, and a server in the name of one can answer for
 * the other. Ports of one host share it rightly, and so do hosts of one certificate: of the same one, or where the certificate
 * that either of them shows names the other, as a wildcard does.
 *
 * @returns The host that showed it first, where that is another one.
 */
export function createKeyOwners(): (host: string, key: string, certificate: Certificate) => string | undefined {
  const owners = new BoundedMap<string, Owner>(MAX_KEYS)
  return (host, key, { sha256, decoded }) => {
    const url = `https://${host}`
    const origin = URL.canParse(url) ? canonicalOrigin(new URL(url)) : undefined
    if (origin === undefined) return undefined
    const names = (decoded.subjectAltName ?? []).slice(0, MAX_NAMES)
    const owner = owners.get(key)
    if (owner === undefined) {
      owners.set(key, { origin, sha256, names })
      return undefined
    }
    const isOne = owner.origin.host === origin.host || owner.sha256 === sha256
    return isOne || isNamed(origin, owner.names) || isNamed(owner.origin, names) ? undefined : owner.origin.text
  }
}

interface Owner {
  readonly origin: CanonicalOrigin
  /** Of the certificate that it showed the key with. */
  readonly sha256: string
  readonly names: readonly GeneralName[]
}

const isNamed = ({ kind, host }: CanonicalOrigin, names: readonly GeneralName[]): boolean =>
  matchesIdentifiers(names, kind === 'dns' ? { kind, name: host } : { kind, address: host })

const MAX_KEYS = 1_000
const MAX_NAMES = 100 // as public CAs allow
