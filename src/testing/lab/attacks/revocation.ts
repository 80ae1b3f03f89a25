import { createServer } from 'node:http'
import { systemRuntime } from '../../../ports/system.ts'
import { extension } from '../../../x509/extension-writer.ts'
import { closeServer, listen } from '../../loopback.ts'
import { crl, ocspResponse } from '../../revocation.ts'
import type { Attack } from '../attack.ts'
import { deception, HOST } from '../stage.ts'

/** The pinned key was stolen and its certificate revoked: in each of these the thief uses it all the same. */
export const REVOCATION_ATTACKS: readonly Attack[] = [
  deception(
    {
      id: 'L20',
      group: 'certificates',
      title: 'a revoked certificate; the stapled OCSP response says so',
      codes: ['ERR_TRUST_CERT_REVOKED'],
      beatsFetch: true,
    },
    ({ ca }) => {
      const [server, stolen] = [ca.issue({ names }), ca.issue({ names })]
      const revoked = ocspResponse({ certificate: stolen, status: 'revoked', reason: KEY_COMPROMISE })
      return {
        attacker: { identity: stolen, ocspResponse: revoked },
        genuine: { identity: server, ocspResponse: ocspResponse({ certificate: server }) },
        given: { pins: { [HOST]: [server.pin, stolen.pin] } },
      }
    },
  ),
  deception(
    {
      id: 'L21',
      group: 'certificates',
      title: 'a revoked certificate; the list of the CA says so',
      codes: ['ERR_TRUST_CERT_REVOKED'],
      beatsFetch: true,
    },
    async ({ ca }) => {
      const list = createServer((_, response) => {
        response.end(crl({ issuer: ca.issuer, revoked: [stolen], reason: KEY_COMPROMISE }))
      })
      const port = await listen(list)
      const extensions = [extension.crlDistributionPoints([`http://${LIST_HOST}:${port}/1.crl`])]
      const [server, stolen] = [ca.issue({ names, extensions }), ca.issue({ names, extensions })]
      return {
        attacker: { identity: stolen },
        genuine: { identity: server },
        withoutCertificate: true, // it would be shown while the list is waited for, so pinfetch does not take both
        given: {
          pins: { [HOST]: [server.pin, stolen.pin] },
          pinfetch: {
            revocation: { mode: 'hard-fail', fetch: 'blocking' },
            revocationNetwork: { ports: [port], allowPrivateHosts: [LIST_HOST] },
          },
        },
        close: async () => {
          list.closeAllConnections()
          await closeServer(list, [])
        },
      }
    },
  ),
  deception(
    {
      id: 'L22',
      group: 'certificates',
      title: 'the certificate demands a staple (must-staple), and the thief leaves it out',
      codes: ['ERR_TRUST_MUST_STAPLE_MISSING'],
      beatsFetch: true,
    },
    ({ ca }) => {
      const [server, stolen] = [
        ca.issue({ names, extensions: MUST_STAPLE }),
        ca.issue({ names, extensions: MUST_STAPLE }),
      ]
      return {
        attacker: { identity: stolen },
        genuine: { identity: server, ocspResponse: ocspResponse({ certificate: server }) },
        given: { pins: { [HOST]: [server.pin, stolen.pin] } },
      }
    },
  ),
  deception(
    {
      id: 'L23',
      group: 'certificates',
      title: 'the thief staples a good OCSP response from before the revocation',
      codes: ['ERR_TRUST_OCSP_EXPIRED'],
      beatsFetch: true,
    },
    ({ ca }) => {
      const monthOld = { names, extensions: MUST_STAPLE, notBefore: systemRuntime.clock.now() - 30 * DAY_MS }
      const [server, stolen] = [ca.issue(monthOld), ca.issue(monthOld)]
      const now = systemRuntime.clock.now()
      const old = ocspResponse({ certificate: stolen, thisUpdate: now - 8 * DAY_MS, nextUpdate: now - 4 * DAY_MS })
      return {
        attacker: { identity: stolen, ocspResponse: old },
        genuine: { identity: server, ocspResponse: ocspResponse({ certificate: server }) },
        given: { pins: { [HOST]: [server.pin, stolen.pin] } },
      }
    },
  ),
]

const names = [HOST]
const MUST_STAPLE = [extension.mustStaple()]
const LIST_HOST = 'crl.example.com'
const KEY_COMPROMISE = 1 // CRLReason (RFC 5280 §5.3.1)
const DAY_MS = 86_400_000
