import { readFile, writeFile } from 'node:fs/promises'
import { ocspResponse, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { until } from '../support/client.ts'
import { cli, cliJson, type JsonAnswer, workplace } from './support.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2030, 0, 1)

test('draws a repository in the terminal, as an image and as a page', async () => {
  const { path, report } = await startRepository()
  const ran = await report(NOW, '--svg', path('out.svg'), '--html', path('out.html'), '--width', '90')
  expect(ran.exitCode).toBe(0)
  expect(ran.stdout).toContain('a.example.com')
  expect(ran.stdout).toMatch(/document +status 1 of acme\/pins +D*\|D+!+/)
  const drawn = ran.stdout.split('\n\n')[0] ?? ''
  expect(Math.max(...drawn.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(90)
  expect(await readFile(path('out.svg'), 'utf8')).toMatch(/^<svg /)
  expect(await readFile(path('out.html'), 'utf8')).toContain("default-src 'none'")
})

test('--days says how far ahead the picture goes', async () => {
  const { path, report } = await startRepository()
  const lastDate = (text: string): string => (text.match(/20\d\d-\d\d(-\d\d)?/g) ?? []).toSorted().at(-1) ?? ''
  const scale = ({ stdout }: { readonly stdout: string }): string => stdout.split('\n').slice(0, 3).join('\n')
  expect(lastDate(scale(await report(NOW, '--days', '10')))).toMatch(/^2030-01-(0\d|1[01])$/)
  expect(lastDate(scale(await report(NOW, '--days', '1000')))).toMatch(/^2032/)
  await report(NOW, '--days', '1000', '--svg', path('out.svg'), '--html', path('out.html'))
  for (const name of ['out.svg', 'out.html'])
    expect(await readFile(path(name), 'utf8')).toMatch(/<text[^>]*>2032-\d\d</)
  for (const days of ['0', '3651', 'ten']) expect((await report(NOW, '--days', days)).exitCode).toBe(2)
})

test('an outage that is near is a warning, and 5 where that is asked for; one that is there is 1', async () => {
  const { report } = await startRepository()
  const near = await report(NOW + 6 * DAY, '--fail-on', 'warn')
  expect(near).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('in 1 d') })
  expect((await report(NOW + 6 * DAY)).exitCode).toBe(0)
  const over = await report(NOW + 8 * DAY)
  expect(over.exitCode).toBe(1)
  expect(over.stderr).toContain('ERR_MANIFEST_STATUS_EXPIRED')
})

test('a configuration brings its pins; nothing at all, and what is no report of the lab, are mistakes', async () => {
  const { path } = await workplace()
  await writeFile(path('config.json'), JSON.stringify({ pins: { 'b.example.com': [testCa().issue().pin] } }))
  const { answer, exitCode } = await cliJson(['report', path('config.json')], { now: NOW })
  expect(exitCode).toBe(0)
  expect(answer.data).toMatchObject({ holes: [], groups: [{ title: 'b.example.com' }] })
  expect((await cli(['report'])).stderr).toContain('ERR_CONFIG_USAGE')
  await writeFile(path('lab.json'), '{"schema":"pinfetch/lab/v1","data":{"attacks":[{}]}}')
  expect((await cli(['report', '--lab', path('lab.json')])).stderr).toContain('ERR_CONFIG_USAGE')
})

test('what servers staple stands among their rows: of a host that is pinned, and of one that is not', async () => {
  const { path } = await workplace()
  const ca = testCa()
  const identity = ca.issue({ names: ['localhost'] })
  const server = await until(startTlsServer({ identity, ocspResponse: ocspResponse({ certificate: identity }) }))
  const [origin, host] = [`https://localhost:${server.port}`, `localhost:${server.port}`]
  await writeFile(path('ca.pem'), ca.anchorPem)
  const stapled = { what: 'OCSP', label: 'good, CN=localhost' }
  const stranger = await cliJson(['report', origin, '--ca', path('ca.pem')])
  expect(groupsOf(stranger.answer)).toContainEqual([host, stapled])

  await cli(['init', path('pins'), '--repo', 'acme/pins'])
  const pins = [identity.pin, ca.issue().pin]
  await cli(['manifest', 'add-host', 'localhost', '--port', `${server.port}`, '--dir', path('pins'), '--pin', ...pins])
  await cli(['manifest', 'publish', '--dir', path('pins'), '--to', path('public'), '--ca', path('ca.pem')])
  const root = path('pins/root.json')
  const pinned = await cliJson(['report', path('public'), '--root', root, '--connect', '--ca', path('ca.pem')])
  expect(groupsOf(pinned.answer)).toContainEqual([host, stapled])
})

test('the matrix of the lab stands in the page', async () => {
  const { path } = await workplace()
  const results = [{ outcome: 'refused', code: 'ERR_TRUST_PIN_MISMATCH', reason: null }]
  const attacks = [{ id: 'L01', group: 'certificates', title: 'a <b>foreign</b> CA', results }]
  await writeFile(
    path('lab.json'),
    JSON.stringify({ schema: 'pinfetch/lab/v1', data: { contenders: ['pinfetch'], attacks } }),
  )
  expect((await cli(['report', '--lab', path('lab.json'), '--html', path('out.html')])).exitCode).toBe(0)
  const page = await readFile(path('out.html'), 'utf8')
  expect(page).toContain('refused: ERR_TRUST_PIN_MISMATCH')
  expect(page).not.toContain('<b>')
})

/** Each group that has a staple, with the row of it. */
function groupsOf({ data }: JsonAnswer): readonly unknown[] {
  const { groups = [] } = data as { groups?: { title: string; rows: { what: string; label: string }[] }[] }
  return groups.flatMap(({ title, rows }) =>
    rows.flatMap(({ what, label }) => (what === 'OCSP' ? [[title, { what, label }]] : [])),
  )
}

async function startRepository() {
  const { path } = await workplace()
  const pins = [testCa().issue().pin, testCa().issue().pin]
  await cli(['init', path('pins'), '--repo', 'acme/pins'], { now: NOW })
  await cli(['manifest', 'add-host', 'a.example.com', '--dir', path('pins'), '--pin', ...pins])
  await cli(['manifest', 'publish', '--dir', path('pins'), '--to', path('public')], { now: NOW })
  const argv = ['report', path('public'), '--root', path('pins/root.json')]
  return { path, report: (now: number, ...more: readonly string[]) => cli([...argv, ...more], { now }) }
}
