import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { allowShortSecret } from '../../src/dangerous/index.ts'
import type { ClientEvent } from '../../src/events/events.ts'
import { Secret } from '../../src/keys/secret.ts'
import { openSecret, type SecretCallback, type SecretSource, type SecretWorld } from '../../src/keys/secret-source.ts'
import { systemRuntime } from '../../src/ports/system.ts'

const ONE = 'kd83-first-Zq91mmw2'
const TWO = 'kd83-second-Pq02xnv7'

describe('what a secret is', () => {
  test.each([
    ['empty', '', 'is empty'],
    ['short', 'kd83-Zq91mmw2xy', 'holds 15 bytes'],
    ['endless', 'kd83Zq91'.repeat(10_000), 'is longer than'],
  ])('%s text is ERR_KEY_SOURCE_INVALID', (_, value, why) => {
    expect(() => open({ value })).toThrow(expect.objectContaining({ code: 'ERR_KEY_SOURCE_INVALID' }))
    expect(() => open({ value })).toThrow(why)
  })

  test.each([
    ...['changeme', 'password', 'secret', 'xxxx', '<token>', 'your-api-key', 'CHANGE_ME_PLEASE_'.slice(0, 9)],
    ...['changemechangeme', 'Your-API-Key-Here', 'my_secret_password_123456', '<paste your access token here>'],
    ...[`$\{PARTNER_API_TOKEN}`, '$PARTNER_API_TOKEN', '{{ partner.apiToken }}', '%PARTNER_API_TOKEN%'],
    ...['xxxxxxxxxxxxxxxxxxxx', '********************', '0101010101010101010101', 'REPLACE_ME_WITH_TOKEN'],
  ])('a placeholder is ERR_KEY_SOURCE_INVALID, and not shown: %s', (value) => {
    const error = thrown(() => open({ value }))
    expect(error).toMatchObject({ code: 'ERR_KEY_SOURCE_INVALID' })
    expect(error.message).toMatch(/placeholder/)
    expect(error.message).not.toContain(value)
  })

  test.each([
    ...[ONE, 'correct horse battery staple', 'api-key-7f3a91c055de', '5f4dcc3b5aa765d61d8327deb882cf99'],
    ...['hunter2hunter2hunter2', 'password-e8f0a1b2', 'sk_test_4eC39HqLyjWDarjtT1zdp7dc'],
  ])('is accepted: %s', async (value) => {
    expect((await open({ value }).current()).secret.reveal()).toBe(value)
  })

  test('is never shown by what prints, joins or serialises', () => {
    const secret = new Secret(ONE)
    const shown = [String(secret), `${secret}`, JSON.stringify({ secret }), inspect({ secret }, { showHidden: true })]
    for (const text of [...shown, inspect(secret), JSON.stringify(Object.entries(secret))]) {
      expect(text).not.toContain(ONE)
      expect(text).toMatch(/\[redacted\]|^\[\]$/)
    }
    expect(secret.reveal()).toBe(ONE)
  })

  test('gives bytes that are no UTF-8 as bytes alone: as text it is ERR_KEY_SOURCE_INVALID, and not another secret', () => {
    const secret = new Secret(Uint8Array.of(0x6b, 0x64, 0xff, 0x83))
    const error = thrown(() => secret.reveal())
    expect(error).toMatchObject({ name: 'KeyError', code: 'ERR_KEY_SOURCE_INVALID' })
    expect(inspect(error, { showHidden: true, depth: 9 })).not.toMatch(/kd/)
    expect(secret.revealBytes()).toEqual(Uint8Array.of(0x6b, 0x64, 0xff, 0x83))
  })

  test('keeps bytes as they are, whatever becomes of the array they came in', () => {
    const bytes = Uint8Array.from({ length: 32 }, (_, at) => at * 7)
    const secret = new Secret(bytes)
    bytes.fill(0)
    expect(secret.revealBytes()[3]).toBe(21)
    secret.revealBytes().fill(0)
    expect(secret.revealBytes()[3]).toBe(21)
  })
})

describe('a variable of the environment', () => {
  test('gives its value', async () => {
    setEnv('PINFETCH_TEST_KEY', ONE)
    expect((await open({ env: 'PINFETCH_TEST_KEY' }).current()).secret.reveal()).toBe(ONE)
  })

  test('that is not set is ERR_KEY_SOURCE_MISSING, and named (KEY-07)', () => {
    const error = thrown(() => open({ env: 'PINFETCH_TEST_NO_KEY' }))
    expect(error).toMatchObject({ name: 'KeyError', code: 'ERR_KEY_SOURCE_MISSING', retryable: false })
    expect(error.message).toBe('apiKey: environment variable PINFETCH_TEST_NO_KEY is not set')
  })

  test('is read again after a refusal', async () => {
    setEnv('PINFETCH_TEST_KEY', ONE)
    const secret = open({ env: 'PINFETCH_TEST_KEY' })
    const first = await secret.current()
    setEnv('PINFETCH_TEST_KEY', TWO)
    expect((await secret.current()).version).toBe(first.version)
    expect((await secret.current(first.version)).secret.reveal()).toBe(TWO)
    expect(secret.previous()?.secret.reveal()).toBe(ONE)
  })
})

describe('a file', () => {
  test.each([
    ['no newline', ONE, ONE],
    ['one newline', `${ONE}\n`, ONE],
    ['one newline of Windows', `${ONE}\r\n`, ONE],
    ['two newlines', `${ONE}\n\n`, `${ONE}\n`],
  ])('with %s at its end loses one at most (KEY-06)', async (_, text, expected) => {
    expect((await open({ file: file(text) }).current()).secret.reveal()).toBe(expected)
  })

  test.each([
    ['empty', '', 0o600, 'is empty'],
    ['a newline alone', '\n', 0o600, 'is empty'],
    ['endless', 'kd83Zq91'.repeat(20_000), 0o600, 'too long'],
    ['readable by everyone', ONE, 0o604, 'mode 604 lets everyone'],
    ['mounted as Kubernetes does it by itself', ONE, 0o644, 'mode 644 lets everyone'],
    ['writable by everyone', ONE, 0o602, 'mode 602 lets everyone'],
  ])('that is %s is ERR_KEY_SOURCE_INVALID (KEY-06)', (_, text, mode, why) => {
    const path = file(text, mode)
    const error = thrown(() => open({ file: path }))
    expect(error).toMatchObject({ code: 'ERR_KEY_SOURCE_INVALID' })
    expect(error.message).toContain(path)
    expect(error.message).toContain(why)
  })

  test.each([0o400, 0o600])('that its owner alone can read, by mode %i, is used, and nothing is told', async (mode) => {
    const events: ClientEvent[] = []
    expect((await open({ file: file(ONE, mode) }, { events }).current()).secret.reveal()).toBe(ONE)
    await new Promise((resolve) => setImmediate(resolve))
    expect(events).toEqual([])
  })

  test('that its group can read is used, and told (KEY-06)', async () => {
    const events: ClientEvent[] = []
    const path = file(ONE, 0o640)
    expect((await open({ file: path }, { events }).current()).secret.reveal()).toBe(ONE)
    await vi.waitFor(() => expect(events).toHaveLength(1))
    expect(events[0]).toMatchObject({ type: 'posture', subject: `apiKey: file ${path}` })
    expect(events[0]).toMatchObject({ effect: 'mode 640 lets the group read the secret; 600 does not' })
  })

  test('that is not there is ERR_KEY_SOURCE_MISSING, one that is a folder ERR_KEY_SOURCE_INVALID', () => {
    const folder = scratch()
    expect(() => open({ file: join(folder, 'none') })).toThrow(
      expect.objectContaining({ code: 'ERR_KEY_SOURCE_MISSING' }),
    )
    expect(() => open({ file: folder })).toThrow(expect.objectContaining({ code: 'ERR_KEY_SOURCE_INVALID' }))
  })

  test('that a rename replaces is in force by itself', async () => {
    const path = file(ONE)
    const events: ClientEvent[] = []
    const secret = open({ file: path }, { events, runtime: systemRuntime })
    expect((await secret.current()).secret.reveal()).toBe(ONE)
    writeFileSync(`${path}.new`, `${TWO}\n`, { mode: 0o600 })
    renameSync(`${path}.new`, path)
    await vi.waitFor(async () => expect((await secret.current()).secret.reveal()).toBe(TWO), PATIENCE)
    expect(secret.previous()?.secret.reveal()).toBe(ONE)
    expect(events).toContainEqual({ type: 'secret.changed', name: 'apiKey', source: `file ${path}`, version: '2' })
    expect(JSON.stringify(events)).not.toMatch(/kd83/)
  })

  test.each([
    ['the file system tells', true],
    ['the file system is silent', false],
  ])('that Kubernetes swaps twice is in force each time, where %s (KEY-01)', async (_, tells) => {
    const folder = scratch()
    const mount = (version: string, text: string): void => {
      mkdirSync(join(folder, `..${version}`))
      writeFileSync(join(folder, `..${version}`, 'key'), text, { mode: 0o600 })
      symlinkSync(`..${version}`, join(folder, '..data_tmp'))
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    }
    mount('2026_1', ONE)
    symlinkSync('..data/key', join(folder, 'key'))
    const silent = tells ? {} : { watchFolder: () => () => undefined }
    const secret = open({ file: join(folder, 'key') }, { runtime: systemRuntime, ...silent })
    expect((await secret.current()).secret.reveal()).toBe(ONE)
    for (const text of [TWO, `${ONE}-third`]) {
      mount(`2026_${text}`, text)
      await vi.waitFor(async () => expect((await secret.current()).secret.reveal()).toBe(text), PATIENCE)
    }
  })

  test('that becomes a bad one is refused by ERR_KEY_SOURCE_INVALID once, and the secret in force stays', async () => {
    const path = file(ONE)
    const events: ClientEvent[] = []
    const secret = open({ file: path }, { events, runtime: systemRuntime })
    const { version } = await secret.current()
    writeFileSync(path, '')
    await vi.waitFor(() => expect(events).toHaveLength(1), PATIENCE)
    expect(events[0]).toMatchObject({ type: 'secret.rejected', name: 'apiKey', code: 'ERR_KEY_SOURCE_INVALID' })
    expect((await secret.current(version)).secret.reveal()).toBe(ONE)
    writeFileSync(path, TWO)
    await vi.waitFor(async () => expect((await secret.current()).secret.reveal()).toBe(TWO), PATIENCE)
    expect(events.map(({ type }) => type)).toEqual(['secret.rejected', 'secret.changed'])
  })

  test('with `watch: false` is read again after a refusal alone', async () => {
    const path = file(ONE)
    const runtime = createTestRuntime()
    const secret = open({ file: path, watch: false }, { runtime })
    expect(runtime.pendingTimers).toBe(0)
    const { version } = await secret.current()
    writeFileSync(path, TWO)
    await runtime.advance(60_000)
    expect((await secret.current()).version).toBe(version)
    expect((await secret.current(version)).secret.reveal()).toBe(TWO)
  })

  test('leaves no timer behind', async () => {
    const runtime = createTestRuntime()
    const secret = open({ file: file(ONE) }, { runtime })
    await vi.waitFor(() => expect(runtime.pendingTimers).toBeGreaterThan(0), PATIENCE)
    secret.close()
    expect(runtime.pendingTimers).toBe(0)
  })
})

describe('a callback', () => {
  test('is asked when the secret is first needed, once for all who wait', async () => {
    const asked: unknown[] = []
    const secret = open(async ({ signal, ...request }) => {
      asked.push(request)
      expect(signal.aborted).toBe(false)
      return { value: ONE, version: 'v7' }
    })
    expect(asked).toEqual([])
    const all = await Promise.all([secret.current(), secret.current(), secret.current()])
    expect(all.map(({ version }) => version)).toEqual(['v7', 'v7', 'v7'])
    expect(asked).toEqual([{ reason: 'initial' }])
  })

  test('is told which version a server refused, at most once a second', async () => {
    const runtime = createTestRuntime()
    const asked: unknown[] = []
    const values = [ONE, ONE, TWO]
    const secret = open(
      async ({ reason, previousVersion }) => {
        asked.push([reason, previousVersion])
        return { value: values[asked.length - 1] ?? TWO }
      },
      { runtime },
    )
    expect((await secret.current()).version).toBe('1')
    for (let i = 0; i < 100; i += 1) expect((await secret.current('1')).version).toBe('1')
    await runtime.advance(1_000)
    const storm = await Promise.all(Array.from({ length: 100 }, () => secret.current('1')))
    expect(storm.at(-1)?.version).toBe('1')
    expect((await secret.current('1')).version).toBe('2')
    expect(asked).toEqual([
      ['initial', undefined],
      ['rejected', '1'],
      ['rejected', '1'],
    ])
  })

  test('is asked again before the end of its secret, and no request waits for that', async () => {
    const runtime = createTestRuntime()
    let asked = 0
    const secret = open(
      async () => ({ value: `${ONE}${++asked}`, expiresAt: new Date(runtime.clock.now() + 100_000) }),
      { runtime },
    )
    await secret.current()
    await runtime.advance(79_000)
    await secret.current()
    expect(asked).toBe(1)
    await runtime.advance(2_000)
    expect(secret.current()).toMatchObject({ version: '1' })
    await runtime.advance(0)
    expect(secret.current()).toMatchObject({ version: '2' })
  })

  test('whose secret ended, and which fails, is ERR_KEY_SOURCE_UNAVAILABLE; before the end the secret stays in force', async () => {
    const runtime = createTestRuntime()
    const events: ClientEvent[] = []
    let isDown = false
    let asked = 0
    const secret = open(
      async () => {
        asked += 1
        if (isDown) throw new Error(`vault token ${TWO} is not accepted`)
        return { value: ONE, expiresAt: new Date(runtime.clock.now() + 10_000) }
      },
      { runtime, events },
    )
    await secret.current()
    isDown = true
    await runtime.advance(9_000)
    expect(secret.current()).toMatchObject({ version: '1' })
    await runtime.advance(500)
    expect(secret.current()).toMatchObject({ version: '1' })
    await runtime.advance(600)
    const error = await rejection(secret.current())
    expect(error).toMatchObject({ code: 'ERR_KEY_SOURCE_UNAVAILABLE', retryable: true })
    expect(asked).toBe(3)
    expect(events.map(({ type }) => type)).toEqual(['secret.rejected'])
    expect(inspect([error, events], { depth: 9 })).not.toMatch(/kd83/)
    isDown = false
    await runtime.advance(1_000)
    expect((await secret.current()).secret.reveal()).toBe(ONE)
  })

  test('that never answers is ERR_KEY_SOURCE_UNAVAILABLE after ten seconds, and its signal ends', async () => {
    const runtime = createTestRuntime()
    const seen: AbortSignal[] = []
    const secret = open(({ signal }) => new Promise(() => void seen.push(signal)), { runtime })
    const failed = rejection(Promise.resolve(secret.current()))
    await runtime.advance(10_000)
    expect(await failed).toMatchObject({ code: 'ERR_KEY_SOURCE_UNAVAILABLE' })
    expect(seen[0]?.aborted).toBe(true)
    expect(runtime.pendingTimers).toBe(0)
  })

  test('that is under way when the secret is closed is ERR_KEY_SOURCE_UNAVAILABLE', async () => {
    const runtime = createTestRuntime()
    const secret = open(() => new Promise(() => undefined), { runtime })
    const failed = rejection(Promise.resolve(secret.current()))
    await runtime.advance(1)
    secret.close()
    expect(await failed).toMatchObject({ code: 'ERR_KEY_SOURCE_UNAVAILABLE' })
    expect(runtime.pendingTimers).toBe(0)
  })

  test.each([
    ['no object', null],
    ['no value', {}],
    ['a number', { value: 1234567890123456 }],
    ['a short value', { value: 'short' }],
    ['a version with a line break', { value: ONE, version: 'a\nb' }],
    ['no date', { value: ONE, expiresAt: '2030-01-01' }],
    ['a past end', { value: ONE, expiresAt: new Date(0) }],
    ['an invalid date', { value: ONE, expiresAt: new Date(Number.NaN) }],
  ])('that answers %s is ERR_KEY_SOURCE_INVALID', async (_, answer) => {
    const secret = open((async () => answer) as unknown as SecretCallback)
    expect(await rejection(secret.current())).toMatchObject({ code: 'ERR_KEY_SOURCE_INVALID' })
  })

  test('that names two values alike gives two versions', async () => {
    let value = ONE
    const secret = open(async () => ({ value, version: 'latest' }))
    const first = await secret.current()
    value = TWO
    expect((await secret.current(first.version)).version).not.toBe(first.version)
  })
})

describe('a list', () => {
  const keychain: SecretCallback = async () => {
    throw new Error('AccessDenied')
  }

  test('goes on where a source does not answer or has nothing (KEY-11)', async () => {
    setEnv('PINFETCH_TEST_KEY', ONE)
    const secret = open([keychain, { env: 'PINFETCH_TEST_NO_KEY' }, { env: 'PINFETCH_TEST_KEY' }])
    expect((await secret.current()).secret.reveal()).toBe(ONE)
  })

  test('a source alone that does not answer is ERR_KEY_SOURCE_UNAVAILABLE: nothing else is looked for (KEY-11)', async () => {
    expect(await rejection(open(keychain).current())).toMatchObject({ code: 'ERR_KEY_SOURCE_UNAVAILABLE' })
    const both = await rejection(open([keychain, { env: 'PINFETCH_TEST_NO_KEY' }]).current())
    expect(both).toMatchObject({ code: 'ERR_KEY_SOURCE_MISSING' })
  })

  test('does not go round a secret that was refused: ERR_KEY_SOURCE_INVALID', () => {
    expect(() => open([{ value: 'changeme' }, { value: ONE }])).toThrow(
      expect.objectContaining({ code: 'ERR_KEY_SOURCE_INVALID' }),
    )
  })
})

test.each([
  ['nothing', undefined],
  ['text', 'PARTNER_KEY'],
  ['an empty list', []],
  ['a list in a list', [[{ env: 'A' }]]],
  ['two kinds at once', { env: 'A', file: 'b' }],
  ['an unknown member', { env: 'A', fallback: 'kd83' }],
  ['a watch of no file', { env: 'A', watch: true }],
  ['an empty name', { env: '' }],
])('%s is no source: ERR_CONFIG_INVALID', (_, source) => {
  expect(() => open(source as never)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }))
})

describe('a secret that is shorter than 16 bytes', () => {
  const SHORT = 'kd83-Zq9'
  const allowShort = allowShortSecret({ reason: 'partner X until 2027' })

  test.each<[string, () => SecretSource]>([
    ['value', () => ({ value: SHORT, allowShort })],
    ['file', () => ({ file: file(`${SHORT}\n`), allowShort })],
    ['callback', () => async () => ({ value: SHORT, allowShort })],
  ])('is accepted from a %s where the application says why, and told at the start', async (name, source) => {
    const events: ClientEvent[] = []
    const secret = open(source(), { events })
    expect((await secret.current()).secret.reveal()).toBe(SHORT)
    await vi.waitFor(() => expect(events).toHaveLength(1))
    const effect = 'a secret of less than 16 bytes is accepted: partner X until 2027'
    expect(events).toEqual([{ type: 'posture', subject: expect.stringContaining(`apiKey: ${name}`), effect }])
  })

  test('is ERR_KEY_SOURCE_INVALID without, and with a reason below 8 bytes, or a placeholder', () => {
    for (const source of [
      { value: SHORT },
      { value: SHORT.slice(1), allowShort },
      { value: 'changeme', allowShort },
      { value: '', allowShort },
    ])
      expect(() => open(source)).toThrow(expect.objectContaining({ code: 'ERR_KEY_SOURCE_INVALID' }))
  })

  test('is not accepted for a look-alike of the permission: ERR_CONFIG_INVALID, ERR_KEY_SOURCE_INVALID', async () => {
    const forged = { ...allowShort }
    expect(() => open({ value: SHORT, allowShort: forged })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    )
    const answering = open(async () => ({ value: SHORT, allowShort: forged }))
    await expect(answering.current()).rejects.toMatchObject({ code: 'ERR_KEY_SOURCE_INVALID' })
    expect(() => allowShortSecret({ reason: ' ' })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_REASON' }))
  })
})

test('the previous version is at hand for the overlap, and not longer', async () => {
  const runtime = createTestRuntime()
  setEnv('PINFETCH_TEST_KEY', ONE)
  const secret = open({ env: 'PINFETCH_TEST_KEY' }, { runtime, overlapMs: 5_000 })
  expect(secret.previous()).toBeUndefined()
  setEnv('PINFETCH_TEST_KEY', TWO)
  await secret.current('1')
  await runtime.advance(4_999)
  expect(secret.previous()?.version).toBe('1')
  await runtime.advance(1)
  expect(secret.previous()).toBeUndefined()
})

type World = Partial<SecretWorld> & { readonly events?: ClientEvent[] }

function open(source: SecretSource, { events = [], ...world }: World = {}) {
  const emit = (event: ClientEvent): void => void events.push(event)
  const secret = openSecret(source, { name: 'apiKey', runtime: createTestRuntime(), emit, ...world })
  onTestFinished(() => secret.close())
  return secret
}

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-secret-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function file(text: string, mode = 0o600): string {
  const path = join(scratch(), 'key')
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

function setEnv(name: string, value: string): void {
  process.env[name] = value
  onTestFinished(() => void delete process.env[name])
}

function thrown(run: () => unknown): Error {
  try {
    run()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

async function rejection(work: unknown): Promise<unknown> {
  return Promise.resolve(work).then(
    () => expect.unreachable('it was accepted'),
    (error) => error,
  )
}

const PATIENCE = { timeout: 30_000, interval: 20 }
