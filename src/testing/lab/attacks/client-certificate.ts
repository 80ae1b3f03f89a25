import { allowTls12 } from '../../../dangerous/index.ts'
import type { Attack } from '../attack.ts'
import { attempt, control, givenFor, HOST, scenario, startStage, witnessOf, worstOf } from '../stage.ts'

/** Who collects client certificates learns whom it talks to, and under TLS 1.2 everybody on the way does. */
export const clientCertificate: readonly Attack[] = [
  {
    id: 'L36',
    group: 'connections',
    title: 'Asks for the client certificate under one of a wrongly trusted CA, by TLS 1.2 and 1.3',
    codes: ['ERR_TRUST_PIN_MISMATCH'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const tls12Hosts = [allowTls12(HOST, { reason: 'both versions are attacked' })]
        const openOne = () => keep(contender.open(givenFor(world, [genuine.pin], { pinfetch: { tls12Hosts } })))
        const harvest = async (version: 'TLSv1.2' | 'TLSv1.3') => {
          const forged = world.otherCa.issue({ names: [HOST] })
          const stage = await startStage(keep, forged, { minVersion: version, maxVersion: version })
          return attempt(await openOne(), stage.url, witnessOf(stage))
        }
        const codes = ['ERR_TRUST_PIN_MISMATCH'] as const
        const attack = worstOf({ codes }, [await harvest('TLSv1.2'), await harvest('TLSv1.3')])
        const wanted = await startStage(keep, genuine)
        const accepted = await control(await openOne(), wanted.url)
        return { attack, control: accepted }
      }),
  },
]
