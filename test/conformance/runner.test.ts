import { createTestRepository, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { run } from '../support/run.ts'
import { logged, sct, testLog } from '../support/transparency.ts'

/** Puts cases to the runner in a process of its own. */
async function conformance(args: readonly string[], cases: readonly unknown[]) {
  const input = cases.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join('\n')
  const outcome = await run(['--import', 'tsx', 'scripts/conformance/main.ts', ...args], {}, input)
  const lines = outcome.stdout.split('\n').filter((line) => line !== '')
  return {
    ...outcome,
    answers: lines.map((line) => JSON.parse(line) as { id: unknown; result: string; code?: string }),
  }
}

const ca = testCa()
const server = ca.issue({ names: ['api.example.com'] })
const chain = {
  roots: [ca.anchorPem],
  intermediates: [ca.issuer.pem],
  leaf: server.pem,
  time: new Date().toISOString(),
  name: { kind: 'dns', value: 'api.example.com' },
  eku: ['serverAuth'],
  kind: 'server',
}

test('path: one answer a line, in order, whatever the line holds', async () => {
  const { answers, exitCode } = await conformance(
    ['path', '--profile', 'strict'],
    [
      { id: 'good', ...chain },
      { id: 'other name', ...chain, name: { kind: 'dns', value: 'other.example.com' } },
      { id: 'broken', ...chain, leaf: 'no certificate' },
      'no JSON',
      { id: 'later', ...chain, time: '2099-01-01T00:00:00Z' },
    ],
  )
  expect(answers.map(({ id, result, code }) => [id, result, code])).toEqual([
    ['good', 'pass', undefined],
    ['other name', 'fail', 'ERR_TRUST_NAME_MISMATCH'],
    ['broken', 'fail', expect.stringMatching(/^ERR_TRUST_/)],
    [null, 'fail', undefined],
    ['later', 'fail', 'ERR_TRUST_CERT_EXPIRED'],
  ])
  expect(exitCode).toBe(0)
})

test('names: the public-suffix hook is on when asked for', async () => {
  const row = { host: 'example.co.uk', dns: ['*.co.uk'], ipHex: [] }
  const { answers } = await conformance(
    ['names'],
    [
      { id: 1, ...row },
      { id: 2, ...row, publicSuffix: true },
    ],
  )
  expect(answers.map(({ result }) => result)).toEqual(['pass', 'fail'])
})

test('manifest: a refresh from a cold start, and one after another', async () => {
  const hosts = { 'api.example.com': [ca.issuer.pin, ca.root.pin] }
  const repository = await createTestRepository({ hosts })
  const files = () => Object.fromEntries([...repository.files()].map(([path, bytes]) => [path, base64(bytes)]))
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
  const { repo, env } = repository
  const common = { anchor: base64(repository.root), repo, env }
  const first = { files: files(), now: new Date().toISOString() }
  await repository.publish({ hosts })
  const second = { files: files(), now: new Date().toISOString() }
  const { answers } = await conformance(
    ['manifest'],
    [
      { id: 'cold', ...common, ...first },
      { id: 'update', ...common, ...second, previous: first },
      { id: 'rollback', ...common, ...first, previous: second },
      { id: 'another repository', ...common, ...first, repo: 'acme/other' },
      { id: 'nothing served', ...common, ...first, files: {} },
      { id: 'expired', ...common, ...first, now: '2099-01-01T00:00:00Z' },
    ],
  )
  expect(answers.map(({ id, code }) => [id, code])).toEqual([
    ['cold', undefined],
    ['update', undefined],
    ['rollback', 'ERR_MANIFEST_STATUS_ROLLBACK'],
    ['another repository', 'ERR_MANIFEST_WRONG_REPO'],
    ['nothing served', 'ERR_MANIFEST_FETCH_HTTP'],
    ['expired', expect.stringMatching(/^ERR_MANIFEST_(ROOT|STATUS)_EXPIRED$/)],
  ])
})

test('ct: each SCT is judged by the logs of the case', async () => {
  const log = testLog()
  const certificate = logged(ca, {}, (entry) => [sct(log, entry, { timestamp: Date.now() })])
  const { description, log_id, key } = log.listed
  const usable = { timestamp: '2020-01-01T00:00:00Z' }
  const listWith = (logs: readonly unknown[]) => ({
    log_list_timestamp: new Date().toISOString(),
    operators: [{ name: 'A', logs }],
  })
  const row = {
    cert: Buffer.from(certificate.der).toString('base64'),
    issuer: Buffer.from(ca.issuer.der).toString('base64'),
    now: new Date().toISOString(),
  }
  const { answers } = await conformance(
    ['ct'],
    [
      { id: 1, ...row, logList: listWith([{ description, log_id, key, state: { usable } }]) },
      { id: 2, ...row, logList: listWith([]) },
      { id: 3, ...row, logList: listWith([]), now: '2099-01-01T00:00:00Z' },
    ],
  )
  expect(answers).toMatchObject([
    { result: 'fail', code: 'ERR_TRUST_CT_NOT_ENOUGH_SCTS', scts: ['valid'] },
    { result: 'fail', code: 'ERR_TRUST_CT_NOT_ENOUGH_SCTS', scts: ['ERR_TRUST_SCT_UNKNOWN_LOG'] },
    { result: 'fail', code: 'ERR_TRUST_CT_LOG_LIST_STALE', scts: [] },
  ])
})

test('a wrong call is exit code 2, and nothing but results goes to standard output', async () => {
  const { exitCode, stdout, stderr } = await conformance(['pathes'], [])
  expect([exitCode, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(/^usage: /)
})
