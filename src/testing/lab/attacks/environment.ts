import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Attack } from '../attack.ts'
import { attempt, control, givenFor, HOST, scenario, startStage, witnessOf, worstOf } from '../stage.ts'

/** What somebody else does to the process: a variable, a patched function. Each is tried by itself. */
export const environment: readonly Attack[] = [
  {
    id: 'L48',
    group: 'environment',
    title: 'Has variables and other code of the process turn verification off',
    codes: ['ERR_TRUST_UNKNOWN_ISSUER'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const forged = world.untrustedCa.issue({ names: [HOST] })
        const [good, bad] = [await startStage(keep, genuine), await startStage(keep, forged)]
        const given = givenFor(world, [genuine.pin, forged.pin])
        const extra = await keep(fileOf(world.anchors + world.untrustedCa.anchorPem))
        const tampered = await Promise.all([
          keep(contender.open({ ...given, env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } })),
          keep(contender.open({ ...given, env: { NODE_EXTRA_CA_CERTS: extra.path } })),
          keep(contender.open({ ...given, before: PATCHED_TLS + GLOBAL_DISPATCHER })),
        ])
        const attempts = []
        for (const client of tampered) attempts.push(await attempt(client, bad.url, witnessOf(bad)))
        const attack = worstOf({ codes: ['ERR_TRUST_UNKNOWN_ISSUER'] }, attempts)
        return { attack, control: await control(tampered[2], good.url) }
      }),
  },
]

async function fileOf(pem: string) {
  const folder = await mkdtemp(join(tmpdir(), 'pinfetch-lab-'))
  const path = join(folder, 'extra.pem')
  await writeFile(path, pem)
  return { path, close: () => rm(folder, { recursive: true, force: true }) }
}

/** As mocking and instrumentation do it, and who wants a certificate error gone. */
const PATCHED_TLS = `
import tls from 'node:tls'
import https from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
tls.checkServerIdentity = () => undefined
https.globalAgent.options.rejectUnauthorized = false
syncBuiltinESMExports()
`

/** What is behind the symbol is who sends for every fetch of the process: behind a second one too, from Node 24 on. */
const GLOBAL_DISPATCHER = `
void globalThis.Headers
const symbols = ['2', '1'].map((version) => Symbol.for('undici.globalDispatcher.' + version))
const known = symbols.filter((symbol) => globalThis[symbol] !== undefined)
const { constructor: Agent } = globalThis[known[0]]
const agent = new Agent({ connect: { rejectUnauthorized: false } })
for (const symbol of known) globalThis[symbol] = agent
`
