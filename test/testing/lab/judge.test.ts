import { createLab } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import type { Attack, Attempt } from '../../../src/testing/lab/attack.ts'
import { judge } from '../../../src/testing/lab/report.ts'

const attack: Attack = {
  id: 'L00',
  group: 'certificates',
  title: 'a test',
  codes: ['ERR_TRUST_PIN_MISMATCH'],
  beatsFetch: true,
  run: () => Promise.reject(new Error('not run')),
}
const refused: Attempt = {
  outcome: 'refused',
  code: 'ERR_TRUST_PIN_MISMATCH',
  applicationOctets: 0,
  sawClientCertificate: false,
}
const accepted: Attempt = { outcome: 'accepted', applicationOctets: 9, sawClientCertificate: false }

test('a refusal with the right code before anything was sent stands', () => {
  const result = judge(attack, 'pinfetch', { attack: refused, control: accepted })
  expect(result).toMatchObject({ outcome: 'refused', control: 'accepted', reason: null })
})

test.each<[string, Attempt, Attempt]>([
  ['was accepted', accepted, accepted],
  ['was refused with another code', { ...refused, code: 'ERR_TRUST_CERT_EXPIRED' }, accepted],
  ['was sent an octet first', { ...refused, applicationOctets: 1 }, accepted],
  ['was shown the client certificate', { ...refused, sawClientCertificate: true }, accepted],
  ['gained something else', { ...refused, gained: 'a token' }, accepted],
  ['had no effect, where it has to be refused', { ...refused, outcome: 'unharmed' }, accepted],
  ['was refused as the genuine server was', refused, refused],
])('an attacker who %s has won', (_, attempt, control) => {
  expect(judge(attack, 'pinfetch', { attack: attempt, control }).outcome).toBe('lost')
})

test('of others it is asked that they refuse, with whatever code', () => {
  const other = { ...refused, code: 'CERT_HAS_EXPIRED', sawClientCertificate: true }
  expect(judge(attack, 'undici', { attack: other, control: accepted }).outcome).toBe('refused')
  expect(judge(attack, 'undici', { attack: { ...other, applicationOctets: 1 }, control: accepted }).outcome).toBe(
    'lost',
  )
  expect(judge(attack, 'yours', { attack: other, control: refused }).outcome).toBe('lost')
})

test('an attack that does not exist is refused: ERR_CONFIG_INVALID; a run that was ended begins none', async () => {
  const lab = createLab()
  await expect(lab.run({ attacks: ['L99'] })).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
  await expect(lab.run({ contenders: ['yours'] })).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' })
  const report = await lab.run({ attacks: ['L01'], signal: AbortSignal.abort() })
  expect(report.attacks[0]?.results.map(({ outcome, reason }) => [outcome, reason])).toEqual(
    Array(3).fill(['not-run', 'the run was ended']),
  )
  await lab.close()
})
