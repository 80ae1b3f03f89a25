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
        const inVariables = await keep(contender.open({ ...given, env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } }))
        const inCode = await keep(contender.open({ ...given, before: PATCHED_TLS + GLOBAL_DISPATCHER }))
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

/** What is behind the symbol is who sends for every fetch of the process. */
const GLOBAL_DISPATCHER = `
void globalThis.Headers
const symbol = Symbol.for('undici.globalDispatcher.1')
const { constructor: Agent } = globalThis[symbol]
globalThis[symbol] = new Agent({ connect: { rejectUnauthorized: false } })
`
