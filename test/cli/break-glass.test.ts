import { mkdir, rename } from 'node:fs/promises'
import { testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { cli, cliJson, isoOf, workplace } from './support.ts'

const HOUR = 3_600_000

describe('two keys kept for emergencies', () => {
  test('put a host on report for four hours while the quorum sleeps, and the host enforces again by itself', async () => {
    const { now, publish, run, simulate } = await startTeam()
    await run('report', 'a.example.com', '--for', '4h')
    expect((await publish('--keys', 'GLASS')).answer).toMatchObject({ ok: true, data: { manifest: { version: 2 } } })
    expect(await simulate(now + 3 * HOUR)).toMatchObject([{ decision: 'report' }])
    expect(await simulate(now + 5 * HOUR)).toMatchObject([{ decision: 'enforced' }])
  })

  test.each([
    ['a longer report', ['report', 'a.example.com', '--for', '5h'], 'longer than four hours'],
    ['another pin', ['add-pin', 'a.example.com', testCa().issue().pin], 'kept for emergencies'],
    [
      'another host',
      ['add-host', 'b.example.com', '--pin', testCa().issue().pin, testCa().issue().pin],
      'b.example.com',
    ],
  ])('are refused %s with ERR_MANIFEST_LINT, which the quorum may sign', async (_, change, said) => {
    const { publish, run } = await startTeam()
    await run(...change)
    const refused = await publish('--keys', 'GLASS')
    expect(refused).toMatchObject({
      exitCode: 4,
      answer: {
        error: { code: 'ERR_MANIFEST_LINT' },
        data: { findings: [{ id: 'break-glass-exceeds', severity: 'error' }] },
      },
    })
    expect(refused.stderr).toContain(said)
    expect((await publish()).answer).toMatchObject({ ok: true, data: { manifest: { version: 2 } } })
  })

  test('nor does one of them help one member of the quorum to more', async () => {
    const { path, publish, run } = await startTeam()
    await mkdir(path('mixed'))
    await rename(path('pins.keys/manifest-1.pem'), path('mixed/manifest-1.pem'))
    await rename(path('glass/manifest-a.pem'), path('mixed/manifest-a.pem'))
    await run('add-pin', 'a.example.com', testCa().issue().pin)
    expect((await publish('--keys', path('mixed'))).answer.error?.code).toBe('ERR_MANIFEST_LINT')
    await run('report', 'a.example.com', '--end')
  })
})

async function startTeam() {
  const { path } = await workplace()
  const now = Date.now()
  const dir = ['--dir', path('pins')]
  const ok = async (...argv: readonly string[]) => {
    const ran = await cli(argv, { now })
    if (ran.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${ran.stderr}`)
  }
  await ok('init', path('pins'), '--repo', 'acme/pins', '--profile', 'team')
  for (const name of ['a', 'b'])
    await ok('keys', 'new', 'manifest', '--keys', path('glass'), '--name', name, '--break-glass')
  const added = ['a', 'b'].map((name) => `manifest:${path(`glass/manifest-${name}.pub.json`)}`)
  await ok('keys', 'rotate-root', ...dir, '--add', ...added)
  await ok('manifest', 'add-host', 'a.example.com', ...dir, '--pin', testCa().issue().pin, testCa().issue().pin)
  const publish = async (...more: readonly string[]) => {
    const given = more.map((word) => (word === 'GLASS' ? path('glass') : word))
    if (given.length > 0) await rename(path('pins.keys/status.pem'), `${given[1]}/status.pem`).catch(() => undefined)
    const ran = await cliJson(['manifest', 'publish', ...dir, '--to', path('public'), ...given], { now })
    if (given.length > 0) await rename(`${given[1]}/status.pem`, path('pins.keys/status.pem')).catch(() => undefined)
    return ran
  }
  expect((await publish()).exitCode).toBe(0)
  return {
    path,
    now,
    publish,
    run: (...argv: readonly string[]) => ok('manifest', ...argv, ...dir),
    simulate: async (at: number) =>
      (await cliJson(['manifest', 'simulate', ...dir, '--at', isoOf(at), '--may', 'report'], { now })).answer.data?.[
        'hosts'
      ],
  }
}
