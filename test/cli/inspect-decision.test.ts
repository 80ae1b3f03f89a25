import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  createTestRepository,
  expiredTwinOf,
  ocspResponse,
  startTlsServer,
  type TlsServerOptions,
  testCa,
} from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { until } from '../support/client.ts'
import { cli, cliJson, type JsonAnswer, workplace } from './support.ts'

interface Step {
  readonly check: string
  readonly outcome: string
  readonly code: string | null
  readonly message: string
}

const ca = testCa({ name: 'Public' })
const [known, spare] = [ca.issue({ names: ['localhost'] }), ca.issue()]

function stepsOf({ data }: JsonAnswer): Readonly<Record<string, Step>> {
  const steps = (data?.['decision'] ?? []) as readonly Step[]
  return Object.fromEntries(steps.map((step) => [step.check, step]))
}

async function inspectServer(config: object | undefined, options: Partial<TlsServerOptions> = {}) {
  const server = await until(startTlsServer({ identity: known, ...options }))
  const { file } = await workplace()
  const roots = await file('roots.pem', ca.anchorPem)
  const content = JSON.stringify({ anchorsFile: './roots.pem', ...config })
  const judged = config === undefined ? ['--ca', roots] : ['--config', await file('c.json', content)]
  const ran = await cliJson(['inspect', `localhost:${server.port}`, ...judged])
  return { ...ran, server, steps: stepsOf(ran.answer) }
}

async function inspectFile(pem: string, anchors: readonly string[], sni = 'localhost') {
  const { file } = await workplace()
  const roots = await file('roots.pem', anchors.join('\n'))
  const ran = await cliJson(['inspect', await file('chain.pem', pem), '--ca', roots, '--sni', sni])
  return { ...ran, steps: stepsOf(ran.answer) }
}

describe('the decision about a server', () => {
  test('names every question, and ends in a yes', async () => {
    const { steps, exitCode, answer, server } = await inspectServer({ pins: { localhost: [known.pin, spare.pin] } })
    expect(Object.values(steps).map(({ check, outcome }) => `${check} ${outcome}`)).toEqual([
      'path passed',
      'validity passed',
      'name constraints passed',
      'name passed',
      'pins passed',
      'revocation reported',
      'transparency skipped',
      'verdict passed',
    ])
    expect(answer.data).toMatchObject({
      pins: [
        { spki: known.pin, state: 'matched' },
        { spki: spare.pin, state: 'backup' },
      ],
      paths: [{ accepted: true, refusal: null }],
      verdict: { trusted: true, code: null },
    })
    expect([exitCode, server.applicationBytes]).toEqual([0, 0])
  })

  test('without its pins: ERR_TRUST_PIN_MISMATCH, and in report mode a yes that says so', async () => {
    const pins = { localhost: [spare.pin] }
    const refused = await inspectServer({ pins })
    expect(refused.steps['pins']).toMatchObject({ outcome: 'refused', code: 'ERR_TRUST_PIN_MISMATCH' })
    expect(refused.answer.data).toMatchObject({ paths: [{ accepted: false }], verdict: { trusted: false } })
    expect([refused.exitCode, refused.answer.error?.code]).toEqual([1, 'ERR_TRUST_PIN_MISMATCH'])
    const reported = await inspectServer({ pins, mode: 'report' })
    expect(reported.steps['pins']).toMatchObject({ outcome: 'reported', code: 'ERR_TRUST_PIN_MISMATCH' })
    expect(reported.answer.data).toMatchObject({ verdict: { trusted: true } })
    expect(reported.exitCode).toBe(0)
  })

  test('whose key a status denies: ERR_TRUST_PIN_DENIED', async () => {
    const server = await until(startTlsServer({ identity: known }))
    const { path, file } = await workplace()
    const repository = await createTestRepository({ hosts: { localhost: [known.pin, spare.pin] } })
    const look = async () => {
      for (const [name, bytes] of repository.files()) {
        await mkdir(dirname(path(`public/${name}`)), { recursive: true })
        await file(`public/${name}`, bytes)
      }
      await file('roots.pem', ca.anchorPem)
      await file('root.json', repository.root)
      const config = { anchorsFile: './roots.pem', manifest: { url: './public', root: './root.json' } }
      return cliJson(['inspect', `localhost:${server.port}`, '--config', await file('c.json', JSON.stringify(config))])
    }
    expect((await look()).answer.data).toMatchObject({ verdict: { trusted: true } })
    await repository.deny([known.pin])
    const { answer } = await look()
    expect(answer.error?.code).toBe('ERR_TRUST_PIN_DENIED')
    expect(answer.data?.['pins']).toMatchObject([{ state: 'denied' }, { state: 'backup' }])
  })

  test('that the configuration says nothing of: ERR_TRUST_HOST_NOT_COVERED, and the rest is judged all the same', async () => {
    const { steps, answer } = await inspectServer({ pins: { 'api.example.com': [spare.pin] } })
    expect(steps['policy']).toMatchObject({ outcome: 'refused', code: 'ERR_TRUST_HOST_NOT_COVERED' })
    expect(steps['path']?.outcome).toBe('passed')
    expect(answer.error?.code).toBe('ERR_TRUST_HOST_NOT_COVERED')
  })

  test('whose staple says revoked: ERR_TRUST_CERT_REVOKED; one that says good is a yes', async () => {
    const staple = (status: 'good' | 'revoked') => ({ ocspResponse: ocspResponse({ certificate: known, status }) })
    const revoked = await inspectServer(undefined, staple('revoked'))
    expect(revoked.steps['revocation']).toMatchObject({ outcome: 'refused', code: 'ERR_TRUST_CERT_REVOKED' })
    expect(revoked.answer.error?.code).toBe('ERR_TRUST_CERT_REVOKED')
    const good = await inspectServer(undefined, staple('good'))
    expect(good.steps['revocation']).toMatchObject({ outcome: 'passed', message: 'good, by staple' })
    expect(good.exitCode).toBe(0)
  })
})

describe('the decision about a file', () => {
  test('with another name than allowed: ERR_TRUST_NAME_CONSTRAINTS; an allowed one is met', async () => {
    const nameConstraints = { permitted: [{ dns: 'example.com' }] }
    const constrained = testCa({ intermediate: { nameConstraints } })
    const chain = (name: string) => constrained.issue({ names: [name] }).pem + constrained.issuer.pem
    const outside = await inspectFile(chain('api.example.org'), [constrained.anchorPem], 'api.example.org')
    expect(outside.steps['name constraints']).toMatchObject({ outcome: 'refused', code: 'ERR_TRUST_NAME_CONSTRAINTS' })
    expect(outside.answer.error?.code).toBe('ERR_TRUST_NAME_CONSTRAINTS')
    const inside = await inspectFile(chain('api.example.com'), [constrained.anchorPem], 'api.example.com')
    expect(inside.steps['name constraints']).toMatchObject({
      outcome: 'passed',
      message: expect.stringMatching(/^met/),
    })
    expect(inside.exitCode).toBe(0)
  })

  test('shows each path, and the ways that lead nowhere', async () => {
    const crossSigner = testCa({ name: 'Cross' })
    const crossed = crossSigner.root.issue({ ...ca.root.options, subject: 'Public Root', key: ca.root.key, ca: true })
    const pem = known.pem + ca.issuer.pem + crossed.pem + expiredTwinOf(ca.issuer).pem
    const { answer } = await inspectFile(pem, [ca.anchorPem, crossSigner.anchorPem])
    expect(answer.data?.['paths']).toMatchObject([{ accepted: true }, { accepted: true }])
    expect(answer.data?.['deadEnds']).toMatchObject([{ code: 'ERR_TRUST_CERT_EXPIRED' }])
    const { file } = await workplace()
    const roots = await file('roots.pem', ca.anchorPem + crossSigner.anchorPem)
    const { stdout } = await cli(['inspect', await file('chain.pem', pem), '--ca', roots, '--sni', 'localhost'])
    expect(stdout).toMatch(
      /paths tried\n {2}1 .+: accepted\n {2}2 .+: accepted\n\nno path by\n {2}ERR_TRUST_CERT_EXPIRED/,
    )
  })

  test('judged by a configuration needs a name: ERR_CONFIG_USAGE', async () => {
    const { file } = await workplace()
    const config = await file('c.json', JSON.stringify({ pins: { localhost: [known.pin] } }))
    const chain = await file('chain.pem', known.pem + ca.issuer.pem)
    const { exitCode, answer } = await cliJson(['inspect', chain, '--config', config])
    expect([exitCode, answer.error?.code]).toEqual([2, 'ERR_CONFIG_USAGE'])
    const named = await cliJson(['inspect', chain, '--config', config, '--sni', 'localhost'])
    expect(named.answer.error?.code).toBe('ERR_TRUST_UNKNOWN_ISSUER') // Node's roots do not know the CA
  })
})
