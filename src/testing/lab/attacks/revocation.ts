import { createServer } from 'node:http'
import { systemRuntime } from '../../../ports/system.ts'
import { extension } from '../../../x509/extension-writer.ts'
import type { TestCertificate } from '../../ca.ts'
import { closeServer, listen } from '../../loopback.ts'
import { crl, ocspResponse } from '../../revocation.ts'
import type { Attack } from '../attack.ts'
import { attempt, control, deception, givenFor, HOST, scenario, startStage, waitFor, witnessOf } from '../stage.ts'

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
  {
    id: 'L21',
    group: 'certificates',
    title: 'a revoked certificate; the list of the CA says so, which was fetched beside an earlier request',
    codes: ['ERR_TRUST_CERT_REVOKED'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const revoked: TestCertificate[] = []
        const list = await keep(startList(() => crl({ issuer: world.ca.issuer, revoked, reason: KEY_COMPROMISE })))
        const extensions = [extension.crlDistributionPoints([list.url])]
        const [server, stolen] = [world.ca.issue({ names, extensions }), world.ca.issue({ names, extensions })]
        revoked.push(stolen)
        const [genuine, attacker] = [await startStage(keep, server), await startStage(keep, stolen)]
        const pinfetch = { revocationNetwork: list.network }
        const open = await keep(contender.open(givenFor(world, [server.pin, stolen.pin], { pinfetch })))
        const arrived = new Promise<void>((resolve) => open.client?.on('revocation.refreshed', () => resolve()))
        const accepted = await control(open, genuine.url)
        if (open.client !== undefined) await Promise.race([arrived, waitFor(PATIENCE_MS)])
        return { attack: await attempt(open, attacker.url, witnessOf(attacker)), control: accepted }
      }),
  },
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

/** Where the CA publishes its list of revoked certificates. */
async function startList(list: () => Uint8Array) {
  const server = createServer((_, response) => void response.end(list()))
  const port = await listen(server)
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await closeServer(server, [])
  }
  const network = { ports: [port], allowPrivateHosts: [LIST_HOST] }
  return { url: `http://${LIST_HOST}:${port}/1.crl`, network, close }
}

const names = [HOST]
const MUST_STAPLE = [extension.mustStaple()]
const LIST_HOST = 'crl.example.com'
const KEY_COMPROMISE = 1 // CRLReason (RFC 5280 §5.3.1)
const PATIENCE_MS = 10_000
const DAY_MS = 86_400_000
