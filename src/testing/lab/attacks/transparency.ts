import { systemRuntime } from '../../../ports/system.ts'
import type { TestCa, TestCertificate } from '../../ca.ts'
import { createTestRepository } from '../../repository.ts'
import { EMBEDDED, precertificate, sct, sctList, type TestLog, testLog, testLogList } from '../../transparency.ts'
import type { Attack } from '../attack.ts'
import { deception, HOST } from '../stage.ts'

/** What was issued out of sight, and by whom it is known that he intercepts. */
export const TRANSPARENCY_ATTACKS: readonly Attack[] = [
  deception(
    {
      id: 'L24',
      group: 'certificates',
      title: 'a certificate of the pinned CA that no log has seen, with forged timestamps of two logs',
      codes: ['ERR_TRUST_SCT_BAD_SIGNATURE', 'ERR_TRUST_CT_NOT_ENOUGH_SCTS'],
      beatsFetch: true,
    },
    ({ ca }) => {
      const logs = [testLog({ operator: 'A' }), testLog({ operator: 'B' })]
      return {
        attacker: { identity: withForgedScts(ca, logs) },
        genuine: { identity: ca.issue({ names, loggedIn: logs }) },
        given: {
          pins: { [HOST]: [ca.issuer.pin] },
          pinfetch: { ct: { mode: 'require', logList: testLogList(logs) } },
        },
      }
    },
  ),
  deception(
    {
      id: 'L25',
      group: 'certificates',
      title: 'the CA of an interception product, which somebody even pinned',
      codes: ['ERR_TRUST_INTERCEPTION'],
      beatsFetch: true,
    },
    async ({ ca, otherCa }) => {
      const repository = await createTestRepository()
      const hosts = { [HOST]: [ca.issuer.pin, otherCa.issuer.pin] }
      await repository.publish({ hosts, members: { interception: [otherCa.issuer.pin] } })
      return {
        attacker: { identity: otherCa.issue({ names }) },
        genuine: { identity: ca.issue({ names }) },
        given: {
          pins: hosts,
          pinfetch: {
            interception: 'refuse',
            manifest: {
              custom: { get: async (path) => repository.files().get(path) },
              root: repository.root,
              memoryOnly: true,
            },
          },
        },
      }
    },
  ),
]

const names = [HOST]

/** Well formed, of logs that are on the list, and signed over something else. */
function withForgedScts(ca: TestCa, logs: readonly TestLog[]): TestCertificate {
  const now = systemRuntime.clock.now()
  const bare = ca.issue({ names, now })
  const entry = precertificate(ca.issuer, bare)
  const forged = logs.map((log) => sct(log, entry, { timestamp: now - HOUR_MS, garbage: true }))
  const { key, serial } = bare
  return ca.issue({ names, now, key, serial, extensions: [{ oid: EMBEDDED, critical: false, value: sctList(forged) }] })
}

const HOUR_MS = 3_600_000
