import { systemRuntime } from '../../../ports/system.ts'
import type { TestCa, TestCertificate } from '../../ca.ts'
import type { Attack } from '../attack.ts'
import { deception, HOST } from '../stage.ts'

/**
 * What a certificate may do: for the right name, under the pinned CA, over a key that is pinned, and still not to be accepted
 * (RFC 5280 §6.1).
 */
export const CERTIFICATE_ATTACKS: readonly Attack[] = [
  flawed({
    id: 'L08',
    title: 'the pinned certificate, a week after its end',
    codes: ['ERR_TRUST_CERT_EXPIRED'],
    beatsFetch: false,
    issue: (ca) => ca.issue({ names, notBefore: ago(100 * DAY_MS), notAfter: ago(7 * DAY_MS) }),
  }),
  flawed({
    id: 'L09',
    title: 'a certificate of next week',
    codes: ['ERR_TRUST_CERT_NOT_YET_VALID'],
    beatsFetch: false,
    issue: (ca) => ca.issue({ names, notBefore: ago(-7 * DAY_MS), notAfter: ago(-90 * DAY_MS) }),
  }),
  flawed({
    id: 'L15',
    title: 'a CA that may speak for another domain alone issues for the host',
    codes: ['ERR_TRUST_NAME_CONSTRAINTS'],
    beatsFetch: false,
    issue: ({ root }) => {
      const nameConstraints = { permitted: [{ dns: 'mallory.example' }] }
      return root.issue({ subject: 'Constrained CA', ca: true, nameConstraints }).issue({ names })
    },
  }),
  flawed({
    id: 'L16',
    title: 'a certificate that was issued to a client serves as that of a server',
    codes: ['ERR_TRUST_EXTENDED_KEY_USAGE'],
    beatsFetch: false,
    issue: (ca) => ca.issue({ names, extendedKeyUsage: ['clientAuth'] }),
  }),
  flawed({
    id: 'L17',
    title: 'a CA that may issue to servers alone makes another CA (pathLenConstraint)',
    codes: ['ERR_TRUST_PATH_LENGTH'],
    beatsFetch: false,
    issue: ({ root }) =>
      root
        .issue({ subject: 'Last CA', ca: true, pathLength: 0 })
        .issue({ subject: 'One CA too many', ca: true })
        .issue({ names }),
  }),
  flawed({
    id: 'L18',
    title: 'an RSA key of 1024 bits',
    codes: ['ERR_TRUST_WEAK_KEY', 'ERR_TRUST_NODE_REFUSED'],
    beatsFetch: Number(process.versions.node.split('.')[0]) < 24, // from then on OpenSSL asks for 112 bits of security
    issue: (ca) => ca.issue({ names, keyType: 'RSA-1024' }),
  }),
  flawed({
    id: 'L19',
    title: 'a signature over SHA-1, of which collisions can be bought',
    codes: ['ERR_TRUST_WEAK_SIGNATURE', 'ERR_TRUST_NODE_REFUSED'],
    beatsFetch: false,
    issue: (ca) => ca.issue({ names, hash: 'sha1' }),
  }),
]

function flawed({
  issue,
  ...attack
}: Pick<Attack, 'id' | 'title' | 'codes' | 'beatsFetch'> & {
  readonly issue: (ca: TestCa) => TestCertificate
}): Attack {
  return deception({ ...attack, group: 'certificates' }, ({ ca }) => {
    const [server, wrong] = [ca.issue({ names }), issue(ca)]
    return {
      attacker: { identity: wrong },
      genuine: { identity: server },
      given: { pins: { [HOST]: [server.pin, wrong.pin] } },
    }
  })
}

function ago(ms: number): number {
  return systemRuntime.clock.now() - ms
}

const names = [HOST]
const DAY_MS = 86_400_000
