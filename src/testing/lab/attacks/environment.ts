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
        const [inVariables, inCode] = await Promise.all([
          keep(contender.open({ ...given, env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } })),
          keep(contender.open({ ...given, before: PATCHED_TLS + GLOBAL_DISPATCHER })),
        ])
        const attack = worstOf({ codes: ['ERR_TRUST_UNKNOWN_ISSUER'] }, [
          await attempt(inVariables, bad.url, witnessOf(bad)),
          await attempt(inCode, bad.url, witnessOf(bad)),
        ])
        return { attack, control: await control(inCode, good.url) }
      }),
  },
]

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
