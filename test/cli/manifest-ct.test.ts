import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { encoded, listPublisher, publicList, publicLog } from '../support/log-list.ts'
import { cli, cliJson, isoOf, workplace } from './support.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2030, 0, 1)
const ours = listPublisher()

describe('manifest ct import', () => {
  test('puts the list into the next manifest, with the policy that was asked for', async () => {
    const { importList, published, content, publish } = await startRepository()
    const { exitCode, answer } = await importList(publicList(isoOf(NOW - DAY)), '--policy', 'enforce')
    expect(answer).toMatchObject({
      ok: true,
      schema: 'pinfetch/manifest-ct-import/v1',
      data: {
        policy: 'enforce',
        logList: { timestamp: isoOf(NOW - DAY), until: isoOf(NOW + 69 * DAY), operators: 2, logs: 3 },
        states: { usable: 3 },
        changes: { logsAdded: ['a1', 'a2', 'b1'] },
      },
      warnings: [],
    })
    expect(exitCode).toBe(0)
    expect(await content()).toMatchObject({ policy: 'enforce', logList: { operators: [{ name: 'A' }, { name: 'B' }] } })
    expect(await published()).toBeUndefined()
    await publish()
    expect(await published()).toEqual(await content())
  })

  test('asks Chrome’s key where no other is given: ERR_CONFIG_LOG_LIST_SIGNATURE', async () => {
    const { importList } = await startRepository()
    const list = publicList(isoOf(NOW))
    expect(await importList.without('--key')(list)).toMatchObject({
      exitCode: 2,
      answer: { error: { code: 'ERR_CONFIG_LOG_LIST_SIGNATURE' } },
    })
    expect((await importList(list)).exitCode).toBe(0)
  })

  test('keeps a policy that was chosen before, and reports where none was', async () => {
    const { importList, content } = await startRepository()
    const list = publicList(isoOf(NOW))
    const policy = async (...more: readonly string[]) => {
      expect((await importList(list, ...more)).exitCode).toBe(0)
      return (await content()).policy
    }
    expect(await policy()).toBe('report')
    expect(await policy('--policy', 'enforce')).toBe('enforce')
    expect(await policy()).toBe('enforce')
    expect(await policy('--policy', 'report')).toBe('report')
    expect(await importList(list, '--policy', 'off')).toMatchObject({ exitCode: 2 })
  })

  test('takes none that is older than the one of the working list or of the signed manifest: ERR_CONFIG_LOG_LIST_ROLLBACK', async () => {
    const { importList, publish, ct, content } = await startRepository()
    const [newer, older] = [publicList(isoOf(NOW)), publicList(isoOf(NOW - DAY))]
    const rolledBack = { exitCode: 2, answer: { error: { code: 'ERR_CONFIG_LOG_LIST_ROLLBACK' } } }
    expect((await importList(newer)).exitCode).toBe(0)
    expect(await importList(older)).toMatchObject(rolledBack)
    await publish()
    expect((await ct('remove')).exitCode).toBe(0)
    expect(await importList(older)).toMatchObject(rolledBack)
    expect(await content()).toBeUndefined()
    expect((await importList(newer)).exitCode).toBe(0)
  })

  test('refuses a list that is too old, warns of one that is getting old, and names what it left out', async () => {
    const { importList } = await startRepository()
    expect(await importList(publicList(isoOf(NOW - 71 * DAY)))).toMatchObject({
      exitCode: 2,
      answer: { error: { code: 'ERR_CONFIG_LOG_LIST_STALE' } },
    })
    const operators = [{ name: 'A', logs: [publicLog('a1'), publicLog('odd', { state: {} })] }]
    const { answer } = await importList({ ...publicList(isoOf(NOW - 36 * DAY)), operators })
    expect(answer).toMatchObject({
      ok: true,
      data: { leftOut: ['odd'] },
      warnings: [expect.stringContaining('fetch a newer one'), expect.stringContaining('left out: odd')],
    })
  })
})

test('manifest ct show says policy, age, logs, and whether it is signed; remove takes it out', async () => {
  const { importList, ct, publish, published } = await startRepository()
  expect((await ct('show')).answer.data).toEqual({ ct: null })
  expect(await ct('remove')).toMatchObject({ exitCode: 2, answer: { error: { code: 'ERR_CONFIG_USAGE' } } })
  await importList(publicList(isoOf(NOW)), '--policy', 'enforce')
  const before = await ct('show')
  expect(before.stderr).toMatch(
    /policy +enforce\nlog list of +2030-01-01T00:00:00Z.+\nclients use it until +2030-03-12T/,
  )
  expect(before.stderr).toMatch(/signed +not as it stands here/)
  expect(before.stderr).toMatch(/B +b1 +usable/)
  await publish()
  expect((await ct('show')).stderr).toMatch(/signed +yes/)
  const { answer } = await ct('remove')
  expect(answer).toMatchObject({
    command: 'manifest ct remove',
    data: { removed: { policy: 'enforce' } },
    warnings: [expect.stringContaining('no longer refuse')],
  })
  await publish()
  expect(await published()).toBeUndefined()
})

test('diff, simulate and monitor know the list, and until when clients use it', async () => {
  const { importList, publish, run } = await startRepository()
  const first = publicList(isoOf(NOW))
  await importList(first)
  await publish()
  expect((await run('manifest', 'diff')).answer.data).toMatchObject({ members: [] })
  const operators = [{ ...first.operators[0], logs: [publicLog('a3')] }, first.operators[1]]
  await importList({ ...publicList(isoOf(NOW)), operators }, '--policy', 'enforce')
  const { answer, stderr } = await run('manifest', 'diff')
  expect(answer.data).toMatchObject({ members: ['ct'], ct: { logsAdded: ['a3'], logsRemoved: ['a1', 'a2'] } })
  expect(stderr).toMatch(/~ ct\n {2}policy report → enforce\n {2}\+ a3\n {2}- a1\n {2}- a2\n/)

  const simulated = await run('manifest', 'simulate', '--at', '60d')
  expect(simulated.answer.data).toMatchObject({
    transparency: { policy: 'report', logList: 'current', until: isoOf(NOW + 70 * DAY) },
  })
  const later = await run('manifest', 'simulate', '--at', '71d')
  expect(later.answer.data).toMatchObject({ transparency: { logList: 'stale' } })
  expect(later.stderr).toMatch(/transparency +not judged: the log list is too old, since 2030-03-12T/)

  const lapse = async (days: number) => {
    const { answer } = await run('monitor', '--at', isoOf(NOW + days * DAY))
    const { lapses } = answer.data as { lapses: { what: string; level: string; at: string; code: string }[] }
    return lapses.find(({ what }) => what === 'log-list')
  }
  expect(await lapse(34)).toMatchObject({ level: 'ok', at: isoOf(NOW + 70 * DAY), code: 'ERR_TRUST_CT_LOG_LIST_STALE' })
  expect(await lapse(36)).toMatchObject({ level: 'warn' })
  expect(await lapse(71)).toMatchObject({ level: 'lapsed' })
})

test('help says where the list, its signature and the key are published', async () => {
  const { stdout } = await cli(['manifest', 'ct', 'import', '--help'])
  for (const name of ['log_list.json', 'log_list.sig', 'log_list_pubkey.pem']) {
    expect(stdout).toContain(`https://www.gstatic.com/ct/log_list/v3/${name}`)
  }
})

async function startRepository() {
  const { path, file } = await workplace()
  expect((await cli(['init', '--dir', path('pins')], { now: NOW })).exitCode).toBe(0)
  const dir = ['--dir', path('pins')]
  const key = await file('list-key.pem', ours.pem)
  const ct = (verb: string) => cliJson(['manifest', 'ct', verb, ...dir], { now: NOW })
  const importing =
    (options: readonly string[]) =>
    async (list: object, ...more: readonly string[]) => {
      const bytes = encoded(list)
      const [json, sig] = [await file('log_list.json', bytes), await file('log_list.sig', ours.sign(bytes))]
      return cliJson(['manifest', 'ct', 'import', json, '--signature', sig, ...options, ...dir, ...more], { now: NOW })
    }
  const publish = async () => {
    const allow = ['--allow', 'no-hosts']
    const ran = await cliJson(['manifest', 'publish', ...dir, '--to', path('public'), ...allow], { now: NOW })
    expect(ran.exitCode, ran.stderr).toBe(0)
    return ran.answer.data as { manifest: { version: number } }
  }
  const inForce = async () => {
    const { manifest } = JSON.parse(await payloadOf(path('pins/status.json')).catch(() => '{}')) as {
      manifest?: { version: number; sha256: string }
    }
    if (manifest === undefined) return undefined
    const text = await payloadOf(path(`pins/manifests/${manifest.version}.${manifest.sha256}.json`))
    return (JSON.parse(text) as { ct?: object }).ct
  }
  return {
    ct,
    importList: Object.assign(importing(['--key', key]), { without: (_: '--key') => importing([]) }),
    publish,
    published: inForce,
    content: async () => (JSON.parse(await readFile(path('pins/hosts.json'), 'utf8')) as { ct: { policy: string } }).ct,
    run: (...argv: readonly string[]) => {
      const place = argv[1] === 'diff' ? [path('pins')] : dir
      return cliJson([...argv, ...place], { now: NOW })
    },
  }
}

async function payloadOf(path: string): Promise<string> {
  const { payload } = JSON.parse(await readFile(path, 'utf8')) as { payload: string }
  return Buffer.from(payload, 'base64url').toString()
}
