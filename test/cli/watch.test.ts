import { readFile } from 'node:fs/promises'
import { startTlsServer, type TestCertificate, testCa } from 'pinfetch/testing'
import { describe, expect, test, vi } from 'vitest'
import { until } from '../support/client.ts'
import { freePort } from '../support/free-port.ts'
import { cli, cliJson, workplace } from './support.ts'

const DAY = 86_400_000

describe('watch --once', () => {
  test('of a server that is trusted: exit code 0, and until when', async () => {
    const { argv, host } = await stage()
    const { exitCode, answer, stderr } = await cliJson([...argv, '--once'])
    expect(answer).toMatchObject({
      schema: 'pinfetch/watch/v1',
      ok: true,
      data: { hosts: [{ host, verdict: 'trusted', notAfter: expect.stringMatching(/^\d{4}-.*Z$/) }] },
    })
    expect(exitCode).toBe(0)
    expect(stderr).toContain(`trusted  ${host}  certificate until`)
  })

  test('of one that is refused: exit code 1, and why, though another one is not reached', async () => {
    const { argv, server } = await stage()
    server.setIdentity(testCa({ name: 'Rogue' }).issue({ names: ['localhost'] }))
    const gone = `localhost:${await freePort()}`
    expect(await cliJson([...argv, gone, '--once'])).toMatchObject({
      exitCode: 1,
      answer: {
        ok: false,
        data: { hosts: [{ verdict: 'refused' }, { host: gone, verdict: 'unreachable' }] },
        error: { code: 'ERR_TRUST_UNKNOWN_ISSUER' },
      },
    })
  })

  test('of one that is not reached: exit code 3', async () => {
    const gone = `localhost:${await freePort()}`
    expect(await cliJson(['watch', gone, '--once'])).toMatchObject({
      exitCode: 3,
      answer: { error: { code: 'ERR_TRANSPORT_CONNECT' } },
    })
  })

  test('of one whose certificate ends soon: exit code 5 with --fail-on warn, and 0 without', async () => {
    const now = Date.now()
    const { argv } = await stage({ notBefore: now - 80 * DAY, notAfter: now + 6 * DAY })
    const warnings = [expect.stringContaining('server certificate until')]
    expect(await cliJson([...argv, '--once', '--fail-on', 'warn'])).toMatchObject({ exitCode: 5, answer: { warnings } })
    expect(await cliJson([...argv, '--once'])).toMatchObject({ exitCode: 0, answer: { warnings } })
  })

  test('by a manifest: a key that is not pinned is ERR_TRUST_PIN_MISMATCH', async () => {
    const { argv, identity, manifest, server, ca } = await stage()
    const place = await manifest('localhost', identity.pin)
    expect(await cliJson([...argv, ...place, '--once'])).toMatchObject({ exitCode: 0 })
    server.setIdentity(ca.issue({ names: ['localhost'] }))
    expect(await cliJson([...argv, ...place, '--once'])).toMatchObject({
      exitCode: 1,
      answer: { error: { code: 'ERR_TRUST_PIN_MISMATCH' } },
    })
    expect(server.requests).toEqual([]) // nothing was ever asked
  })

  test.each([
    ['no host', []],
    ['what is no host', ['http://localhost']],
    ['a manifest without its root', ['localhost', '--manifest', './public']],
    ['an interval that is none', ['localhost', '--interval', 'often']],
  ])('%s is exit code 2', async (_, words) => {
    const ran = await cliJson(['watch', ...words, '--once'])
    expect(ran).toMatchObject({ exitCode: 2, answer: { error: { code: 'ERR_CONFIG_USAGE' } } })
  })
})

describe('watch', () => {
  test('tells of another certificate and of another verdict, each once, as a line of JSON and to a command', async () => {
    const { argv, host, server, identity, ca, path } = await stage()
    const [renewed, forged] = [
      ca.issue({ names: ['localhost'] }),
      testCa({ name: 'Rogue' }).issue({ names: ['localhost'] }),
    ]
    const looks = [renewed, renewed, forged, identity].map((one) => () => server.setIdentity(one))
    const interrupt = new AbortController()
    const wait = async (): Promise<void> => {
      const next = looks.shift()
      if (next !== undefined) return next()
      interrupt.abort()
      await new Promise(() => {})
    }
    const told = path('told.jsonl')
    const command = ['--on-change', `cat >> ${told}`]
    const { exitCode, stdout } = await cli([...argv, ...command, '--json'], { signal: interrupt.signal, wait })
    expect(exitCode).toBe(130)
    const lines = stdout.trimEnd().split('\n')
    const events = lines.map((line) => (JSON.parse(line) as { event: object }).event)
    expect(events).toMatchObject([
      { type: 'watch.verdict', host, verdict: 'trusted' },
      { type: 'tls.anomaly', host, kind: 'certificate-changed' },
      { type: 'tls.anomaly', kind: 'key-changed', before: identity.pin, after: renewed.pin },
      { type: 'watch.verdict', host, verdict: 'refused', before: 'trusted', code: 'ERR_TRUST_UNKNOWN_ISSUER' },
      { type: 'watch.verdict', host, verdict: 'trusted', before: 'refused' },
    ])
    await vi.waitFor(
      async () => {
        const written = (await readFile(told, 'utf8')).trimEnd().split('\n')
        expect(written.sort()).toEqual(lines.slice(1).sort()) // that all is well at first is no change
      },
      { timeout: 20_000 },
    )
  })

  test('a command that fails is told of, and nothing else ends with it', async () => {
    const { argv, server } = await stage()
    server.setIdentity(testCa({ name: 'Rogue' }).issue({ names: ['localhost'] }))
    const interrupt = new AbortController()
    const wait = async (): Promise<void> => {
      await vi.waitFor(() => expect(stderrOf()).toContain('--on-change: ended with 7'), { timeout: 20_000 })
      interrupt.abort()
      await new Promise(() => {})
    }
    let stderr = ''
    const stderrOf = () => stderr
    const { exitCode } = await cli([...argv, '--on-change', 'exit 7'], {
      signal: interrupt.signal,
      wait,
      hears: (text) => {
        stderr += text
      },
    })
    expect(exitCode).toBe(130)
  })
})

async function stage(
  life: Partial<Pick<Parameters<ReturnType<typeof testCa>['issue']>[0] & object, 'notBefore' | 'notAfter'>> = {},
) {
  const { path, file } = await workplace()
  const ca = testCa()
  const identity: TestCertificate = ca.issue({ names: ['localhost'], ...life })
  const server = await until(startTlsServer({ identity }))
  await file('ca.pem', ca.anchorPem)
  const host = `localhost:${server.port}`
  return {
    ca,
    identity,
    server,
    host,
    path,
    argv: ['watch', host, '--ca', path('ca.pem')],
    /** A published repository that pins the key for the host. */
    manifest: async (pinned: string, pin: string) => {
      const dir = path('pins')
      const run = async (...words: string[]) => expect(await cli(words)).toMatchObject({ exitCode: 0 })
      await run('manifest', 'init', dir, '--repo', 'example', '--env', 'prod', '--profile', 'solo')
      await run('manifest', 'add-host', pinned, '--dir', dir, '--pin', pin, testCa().issue().pin)
      await run('manifest', 'publish', '--dir', dir, '--to', path('public'))
      return ['--manifest', path('public'), '--root', path('pins/root.json')]
    },
  }
}
