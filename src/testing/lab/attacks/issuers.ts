import { selfSigned, type TestCertificate } from '../../ca.ts'
import { expiredTwinOf, impostorOf } from '../../forge.ts'
import type { ServerIdentity } from '../../tls-server.ts'
import type { Attack } from '../attack.ts'
import { deception, HOST } from '../stage.ts'

/** Who issued it: certificates for the right name, from somebody who may not, or over a path that is not there. */
export const ISSUER_ATTACKS: readonly Attack[] = [
  deception(
    {
      id: 'L01',
      group: 'certificates',
      title: 'a trusted CA issues a certificate for the host to somebody else',
      codes: ['ERR_TRUST_PIN_MISMATCH'],
      beatsFetch: true,
    },
    ({ ca, otherCa }) => {
      const server = ca.issue({ names })
      return {
        attacker: { identity: otherCa.issue({ names }) },
        genuine: { identity: server },
        given: { pins: { [HOST]: [server.pin] } },
      }
    },
  ),
  deception(
    {
      id: 'L02',
      group: 'certificates',
      title: 'a CA that nobody trusts takes the names and key identifiers of the trusted one, over the pinned key',
      codes: ['ERR_TRUST_SIGNATURE_INVALID'],
      beatsFetch: false,
    },
    ({ ca }) => {
      const impostor = impostorOf(ca.issuer, { issuer: impostorOf(ca.root) })
      return overPinnedKey(ca.issue({ names }), impostor.issue({ names }))
    },
  ),
  deception(
    {
      id: 'L03',
      group: 'certificates',
      title: 'a self-signed certificate over the pinned key',
      codes: ['ERR_TRUST_UNKNOWN_ISSUER'],
      beatsFetch: false,
    },
    ({ ca }) => overPinnedKey(ca.issue({ names }), selfSigned({ names })),
  ),
  deception(
    {
      id: 'L04',
      group: 'certificates',
      title:
        'an intermediate of another trusted root takes the name of the pinned one, an old certificate of which comes first',
      codes: ['ERR_TRUST_PIN_MISMATCH'],
      beatsFetch: true,
    },
    ({ ca, otherCa }) => {
      const impostor = impostorOf(ca.issuer, { issuer: otherCa.root })
      return {
        attacker: { identity: certificates(impostor.issue({ names }), expiredTwinOf(ca.issuer), impostor) },
        genuine: { identity: ca.issue({ names }) },
        given: { pins: { [HOST]: [ca.issuer.pin] } },
      }
    },
  ),
  deception(
    {
      id: 'L05',
      group: 'certificates',
      title: 'the owner of an ordinary certificate below the pinned CA issues with it as if it were a CA',
      codes: ['ERR_TRUST_NOT_A_CA'],
      beatsFetch: false,
    },
    ({ ca }) => ({
      attacker: { identity: ca.issue({ names: ['mallory.example'] }).issue({ names }) },
      genuine: { identity: ca.issue({ names }) },
      given: { pins: { [HOST]: [ca.issuer.pin] } },
    }),
  ),
  deception(
    {
      id: 'L06',
      group: 'certificates',
      title: 'the pinned certificates are sent behind a chain of another trusted CA',
      codes: ['ERR_TRUST_PIN_MISMATCH'],
      beatsFetch: true,
    },
    ({ ca, otherCa }) => {
      const server = ca.issue({ names })
      return {
        attacker: { identity: certificates(otherCa.issue({ names }), otherCa.issuer, server, ca.issuer, ca.root) },
        genuine: { identity: server },
        given: { pins: { [HOST]: [server.pin, ca.issuer.pin] } },
      }
    },
  ),
  deception(
    {
      id: 'L07',
      group: 'certificates',
      title: 'an intermediate below another trusted root has the name and key identifier of the pinned one',
      codes: ['ERR_TRUST_PIN_MISMATCH'],
      beatsFetch: true,
    },
    ({ ca, otherCa }) => {
      const impostor = impostorOf(ca.issuer, { issuer: otherCa.root })
      return {
        attacker: { identity: certificates(impostor.issue({ names }), impostor, ca.issuer) },
        genuine: { identity: ca.issue({ names }) },
        given: { pins: { [HOST]: [ca.issuer.pin] } },
      }
    },
  ),
]

const names = [HOST]

/** Both keys are pinned, so that the pins are not what refuses. */
function overPinnedKey(server: TestCertificate, forged: TestCertificate) {
  return {
    attacker: { identity: forged },
    genuine: { identity: server },
    given: { pins: { [HOST]: [server.pin, forged.pin] } },
  }
}

/** Exactly these certificates, under the key of the first. */
function certificates(first: TestCertificate, ...others: readonly { readonly der: Uint8Array }[]): ServerIdentity {
  return { certificates: [first, ...others].map(({ der }) => der), key: first.keyPem }
}
