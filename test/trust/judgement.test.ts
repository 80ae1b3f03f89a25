import { testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { judgementBehind, rememberJudgement } from '../../src/trust/judgement.ts'
import { originOf, policyFor } from '../support/policy.ts'

test('a record leads to what was judged, shows nothing of it, and a copy of the record leads nowhere', () => {
  const server = testCa().issue({ names: ['api.example.com'] })
  const policy = policyFor(originOf('https://api.example.com/'), [server.pin])
  const identity = { kind: 'dns', name: policy.host } as const
  const judgement = { input: { presented: server.chain, identity, policy, now: toUnixMs(0) } }
  const record = { type: 'tls.handshake' }
  rememberJudgement(record, judgement)
  expect(judgementBehind(record)).toBe(judgement)
  expect(record).toEqual({ type: 'tls.handshake' })
  expect(judgementBehind({ ...record })).toBeUndefined()
})
