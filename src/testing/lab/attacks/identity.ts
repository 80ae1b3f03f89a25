import type { IssueOptions } from '../../ca.ts'
import type { Attack } from '../attack.ts'
import { deception, HOST } from '../stage.ts'

/**
 * Whose it is: certificates of the pinned CA that are not for the host. The key of each is pinned as well, as that of a second
 * server of the operator's may be; the name alone is wrong.
 */
export const IDENTITY_ATTACKS: readonly Attack[] = [
  misnamed({
    id: 'L10',
    title: 'a certificate for another host',
    beatsFetch: false,
    certificate: { names: ['other.example.com'] },
  }),
  misnamed({
    id: 'L11',
    title: 'the host stands in the common name alone',
    beatsFetch: true, // Node falls back on the common name (RFC 9525 §2 forbids it)
    certificate: { subject: HOST },
  }),
  misnamed({
    id: 'L12',
    title: 'wildcards for half a label, for two labels and for everything below com',
    beatsFetch: true, // Node takes `a*.example.com`
    certificate: { names: ['a*.example.com', '*i.example.com', '*.*.com', 'api.*.com', '*.com', '*'] },
  }),
  misnamed({
    id: 'L13',
    title: 'the host, a zero octet and a domain of the attacker; and letters that look like those of the host',
    beatsFetch: false,
    certificate: {
      names: [`${HOST}\0.mallory.example`, `${HOST}\0`, 'xn--pi-6kc.example.com', `${HOST}.mallory.example`],
    },
  }),
  misnamed({
    id: 'L14',
    title: 'an IP address that stands among the DNS names, and a wildcard that looks like it',
    beatsFetch: false,
    host: '127.0.0.1',
    certificate: { names: ['127.0.0.1', '*.0.0.1'] },
  }),
]

function misnamed({
  host = HOST,
  certificate,
  ...attack
}: Pick<Attack, 'id' | 'title' | 'beatsFetch'> & {
  readonly host?: string
  readonly certificate: IssueOptions
}): Attack {
  return deception({ ...attack, group: 'certificates', codes: ['ERR_TRUST_NAME_MISMATCH'] }, ({ ca }) => {
    const server = ca.issue(host === HOST ? { names: [host] } : { ips: [host] })
    const wrong = ca.issue(certificate)
    return {
      host,
      attacker: { identity: wrong },
      genuine: { identity: server },
      given: { pins: { [host]: [server.pin, wrong.pin] } },
    }
  })
}
