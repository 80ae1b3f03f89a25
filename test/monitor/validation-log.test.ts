import {
  appendFile,
  type FileHandle,
  mkdtemp,
  open,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestRuntime } from 'pinfetch/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createEmitter } from '../../src/events/emitter.ts'
import type { HandshakeEvent } from '../../src/events/handshake.ts'
import { type ValidationLogOptions, validationLog } from '../../src/monitor/validation-log.ts'
import { type LogReport, verifyLog } from '../../src/monitor/verify-log.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { handshakeOf } from './evidence/event.ts'

async function place(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'pinfetch-log-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return join(directory, 'tls.jsonl')
}

async function logged(events: readonly HandshakeEvent[], options: ValidationLogOptions) {
  const { on, emit } = createEmitter()
  const log = validationLog({ on }, { runtime: createTestRuntime({ now: Date.UTC(2026, 0, 1) }), ...options })
  for (const event of events) emit(event)
  await log.close()
  return log
}

const numbered = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => handshakeOf({ host: `h${from + index}.example.com` }))

async function verify(file: string, head?: string): Promise<LogReport> {
  const bytes = await readFile(file)
  const halves = [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)] // lines may span chunks
  return verifyLog(
    (async function* () {
      yield* halves
    })(),
    head,
  )
}

async function opened(file: string): Promise<FileHandle> {
  const handle = await open(file)
  onTestFinished(() => handle.close())
  return handle
}

const linesOf = async (file: string): Promise<string[]> => (await readFile(file, 'utf8')).trimEnd().split('\n')
const rewrite = (file: string, lines: readonly string[]) => writeFile(file, `${lines.join('\n')}\n`)

test('writes one line for each handshake, the first says since when, and the chain holds', async () => {
  const file = await place()
  const log = await logged(numbered(100), { file })
  expect(log).toMatchObject({ lost: 0, queued: 0, failure: undefined })
  const report = await verify(file)
  expect(report).toEqual({
    lines: 101,
    handshakes: 100,
    lost: 0,
    restarts: 0,
    since: '2026-01-01T00:00:00.000Z',
    head: log.head,
    flaws: [],
    isTorn: false,
  })
  if (process.platform !== 'win32') expect((await stat(file)).mode & 0o777).toBe(0o600)
})

test('a line says what the verdict rests on', async () => {
  const lines: string[] = []
  const finding = { code: 'ERR_TRUST_PIN_MISMATCH', certificateIndex: null, message: 'no pinned key' } as const
  const event = handshakeOf({
    outcome: 'refused',
    code: finding.code,
    findings: [finding],
    policy: { generation: 'g1', source: 'manifest', mode: 'enforce', manifestVersion: 3, rootVersion: 7 },
    staple: Uint8Array.of(9),
    revocation: {
      status: 'undetermined',
      causes: [{ source: 'crl', code: 'ERR_TRUST_CRL_SCOPE', certificateIndex: 0, message: 'another list' }],
    },
    transparency: { status: 'compliant', logs: ['log A'], findings: [] },
    connection: { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', group: 'X25519', resumed: false },
  })
  await logged([event], { write: (line) => void lines.push(line), chain: false })
  expect(lines).toHaveLength(1)
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    type: 'validation',
    at: '2026-01-01T00:00:00.000Z',
    host: 'api.example.com',
    verdict: 'refused',
    code: 'ERR_TRUST_PIN_MISMATCH',
    findings: [finding],
    path: event.chain.map(({ spki }) => spki),
    certificates: ['039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81'],
    staple: '2b4c342f5433ebe591a1da77e013d1b72475562d48578dca8b84bac6651c3cb9',
    pins: event.pins,
    policy: { generation: 'g1', source: 'manifest', mode: 'enforce', manifestVersion: 3, rootVersion: 7 },
    revocation: {
      status: 'undetermined',
      causes: [{ source: 'crl', code: 'ERR_TRUST_CRL_SCOPE', certificateIndex: 0, message: 'another list' }],
    },
    transparency: { status: 'compliant', logs: ['log A'], findings: [] },
    address: '127.0.0.1',
    addresses: ['127.0.0.1'],
    connection: { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', group: 'X25519', resumed: false },
    timings: { lookupMs: 0.25, connectMs: 1, tlsMs: 2.123, verdictMs: 0.5, totalMs: 4 },
  })
})

test('what an event gains is not written before somebody names it', async () => {
  const canary = 'kd83-canary-Zq91'
  const lines: string[] = []
  const laden = (value: object): object => ({ ...value, authorization: canary })
  const event = handshakeOf({ findings: [{ code: 'ERR_TRUST_PIN_MISMATCH', certificateIndex: 0, message: 'm' }] })
  const more = Object.fromEntries(
    Object.entries(event).map(([name, value]) => {
      if (Array.isArray(value))
        return [name, value.map((one) => (one.constructor === Object ? laden(one) : one))] as const
      return [name, value.constructor === Object ? laden(value) : value] as const
    }),
  )
  await logged([laden(more) as HandshakeEvent], { write: (line) => void lines.push(line) })
  expect(lines).toHaveLength(2)
  expect(lines.join()).not.toContain(canary)
})

test('a restart goes on from the last line', async () => {
  const file = await place()
  await logged(numbered(3), { file })
  await logged(numbered(2, 3), { file })
  expect(await verify(file)).toMatchObject({ lines: 7, handshakes: 5, restarts: 1, flaws: [] })
})

test('a torn last line is closed, kept and accounted for', async () => {
  const file = await place()
  await logged(numbered(3), { file })
  const { size } = await stat(file)
  await truncate(file, size - 20)
  expect(await verify(file)).toMatchObject({ lines: 4, handshakes: 2, flaws: [], isTorn: true })
  await logged(numbered(1, 3), { file })
  expect(await verify(file)).toMatchObject({ lines: 6, handshakes: 3, restarts: 1, flaws: [], isTorn: false })

  const lines = await linesOf(file)
  await rewrite(
    file,
    lines.map((line, index) => (index === 3 ? `${line} ` : line)),
  )
  expect((await verify(file)).flaws).toMatchObject([{ kind: 'edited', line: 4 }])
})

test('torn lines that nobody accounted for are accounted for by the next restart', async () => {
  const file = await place()
  await logged(numbered(3), { file })
  await truncate(file, (await stat(file)).size - 20)
  await appendFile(file, '\n{"prev":"half of log.contin') // a restart that died as well
  await logged(numbered(1, 3), { file })
  expect(await verify(file)).toMatchObject({ lines: 7, handshakes: 3, restarts: 1, flaws: [], isTorn: false })
  await appendFile(file, 'half a line\n') // with its end, and then it died
  const log = await logged(numbered(1, 4), { file })
  expect(log).toMatchObject({ lost: 0, failure: undefined })
  expect(await verify(file)).toMatchObject({ lines: 10, handshakes: 4, restarts: 2, flaws: [] })

  const lines = await linesOf(file)
  for (const edited of [3, 4, 7]) {
    await rewrite(
      file,
      lines.map((line, index) => (index === edited ? `${line} ` : line)),
    )
    expect((await verify(file)).flaws[0]?.kind).toBe('edited')
  }
})

test('a line that lacks nothing but its end is whole', async () => {
  const file = await place()
  await logged(numbered(2), { file })
  await truncate(file, (await stat(file)).size - 1)
  await logged(numbered(1, 2), { file })
  expect(await verify(file)).toMatchObject({ handshakes: 3, restarts: 1, flaws: [] })
})

test('each line that is edited is named', async () => {
  const file = await place()
  await logged(numbered(6), { file })
  const lines = await linesOf(file)
  for (let index = 0; index < lines.length - 1; index += 1) {
    await rewrite(
      file,
      lines.map((line, at) => (at === index ? line.replace(/"at":"2026/, '"at":"2025') : line)),
    )
    expect((await verify(file)).flaws).toMatchObject([{ kind: 'edited', line: index + 1 }])
  }
  await rewrite(
    file,
    lines.map((line, at) => (at === 3 ? line.replace('"seq":3', '"seq":30') : line)),
  )
  expect((await verify(file)).flaws[0]).toMatchObject({ kind: 'edited', line: 4 })
  await rewrite(
    file,
    lines.map((line, at) => (at === 3 ? 'not a line' : line)),
  )
  expect((await verify(file)).flaws[0]).toMatchObject({ kind: 'edited', line: 4 })
})

test('each line that is removed is missed, but for the last', async () => {
  const file = await place()
  const log = await logged(numbered(6), { file })
  const lines = await linesOf(file)
  for (let index = 0; index < lines.length - 1; index += 1) {
    await rewrite(
      file,
      lines.filter((_, at) => at !== index),
    )
    expect((await verify(file)).flaws).toMatchObject([{ kind: 'removed', line: index + 1 }])
  }
  await rewrite(file, lines.slice(0, -1))
  expect((await verify(file)).flaws).toEqual([]) // a chain alone cannot show it
  expect((await verify(file, log.head)).flaws).toMatchObject([{ kind: 'cut', line: 6 }])
  await rewrite(file, lines)
  expect((await verify(file, log.head)).flaws).toEqual([])
})

test('a line that is inserted is named, however well it is forged', async () => {
  const file = await place()
  await logged(numbered(6), { file })
  const other = await place()
  await logged([...numbered(3), handshakeOf({ host: 'forged.example.com' })], { file: other })
  const [lines, forged] = [await linesOf(file), (await linesOf(other))[4] ?? ''] // follows line 4 as line 5 does
  await rewrite(file, [...lines.slice(0, 4), forged, ...lines.slice(4)])
  expect((await verify(file)).flaws).toMatchObject([{ kind: 'inserted', line: 5 }])
})

test('two lines that changed places are named', async () => {
  const file = await place()
  await logged(numbered(6), { file })
  const lines = await linesOf(file)
  const [, , third = '', fourth = ''] = lines
  await rewrite(file, [...lines.slice(0, 2), fourth, third, ...lines.slice(4)])
  expect((await verify(file)).flaws[0]).toMatchObject({ kind: 'moved', line: 3 })
})

test('a log that was written anew from some line on does not have the head that was kept', async () => {
  const file = await place()
  const { head } = await logged(numbered(4), { file })
  const forged = await place()
  await logged([...numbered(3), handshakeOf({ host: 'forged.example.com' })], { file: forged })
  expect((await verify(forged)).flaws).toEqual([]) // whoever can write the whole file can write a whole chain
  expect((await verify(forged, head)).flaws).toMatchObject([{ kind: 'cut' }])
  await logged(numbered(2, 4), { file })
  expect((await verify(file, head)).flaws).toEqual([]) // what came after the head is no flaw
})

test('a log that is too slow loses the newest, and says how many', async () => {
  const lines: string[] = []
  let open = (): void => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const { on, emit } = createEmitter()
  const write = async (line: string): Promise<void> => {
    await gate
    lines.push(line)
  }
  const log = validationLog({ on }, { write, capacity: 3 }) // the first line takes one place
  for (const event of numbered(10)) emit(event)
  expect(log).toMatchObject({ queued: 3, lost: 8 })
  open()
  await expect.poll(() => log.queued).toBe(0)
  emit(handshakeOf())
  await log.close()
  const report = await verifyLog(
    (async function* () {
      yield Buffer.from(`${lines.join('\n')}\n`)
    })(),
  )
  expect(report).toMatchObject({ handshakes: 3, lost: 8, flaws: [] })
})

test('what is lost while a line is written is told as well, if need be by the last line', async () => {
  const lines: string[] = []
  let release = (): void => {}
  const write = (line: string) =>
    new Promise<void>((resolve) => {
      lines.push(line)
      release = resolve
    })
  const { on, emit } = createEmitter()
  const log = validationLog({ on }, { write, capacity: 1 })
  const writes = (count: number) => expect.poll(() => lines.length).toBe(count)
  emit(handshakeOf()) // the first line takes the only place
  await writes(1)
  release()
  await expect.poll(() => log.queued).toBe(0)
  emit(handshakeOf())
  await writes(2)
  emit(handshakeOf()) // while the log tells of the one before
  release()
  await writes(3)
  release()
  const closed = log.close()
  await writes(4)
  release()
  await closed
  expect(log.lost).toBe(2)
  const records = lines.map((line) => JSON.parse(line).record)
  expect(records.map(({ type, handshakes }) => [type, handshakes])).toEqual([
    ['log.begun', undefined],
    ['log.lost', 1],
    ['validation', undefined],
    ['log.lost', 1],
  ])
})

test('a disk that is full, and a folder that is not there, cost lines and nothing else', async () => {
  for (const file of ['/dev/full', '/nowhere/at/all.jsonl']) {
    const log = await logged(numbered(3), { file })
    expect(log.lost).toBe(3)
    expect(log.failure).toMatch(/ENOSPC|ENOENT|EINVAL|expected a/)
  }
})

test('of lines that are written together, those that a full disk took whole are in the log, the others lost', async () => {
  const file = await place()
  const { on, emit } = createEmitter()
  const log = validationLog({ on }, { file })
  await expect.poll(() => log.queued).toBe(0)
  const handle = Object.getPrototypeOf(await opened(file)) as FileHandle
  const write = vi.spyOn(handle, 'write')
  onTestFinished(() => write.mockRestore())
  write.mockImplementationOnce(async function (this: FileHandle, ...[bytes]: unknown[]) {
    const whole = bytes as Buffer
    const end = whole.indexOf('\n', whole.indexOf('\n') + 1) + 10 // two lines, and a piece of the third
    await this.appendFile(whole.subarray(0, end))
    write.mockRejectedValueOnce(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
    return { bytesWritten: end, buffer: whole }
  } as never)
  for (const event of numbered(5)) emit(event)
  await expect.poll(() => log.queued, { timeout: 20_000 }).toBe(0)
  expect(log).toMatchObject({ lost: 3, failure: expect.stringContaining('no space') })
  emit(handshakeOf())
  await log.close()
  expect(await verify(file, log.head)).toMatchObject({ handshakes: 3, lost: 3, restarts: 1, flaws: [] })
})

test('accepted connections wait for each other, another verdict for none; the order is that of the events', async () => {
  const file = await place()
  const { on, emit } = createEmitter()
  const log = validationLog({ on }, { file })
  await expect.poll(() => log.queued).toBe(0)
  const handle = Object.getPrototypeOf(await opened(file)) as FileHandle
  const write = vi.spyOn(handle, 'write')
  onTestFinished(() => write.mockRestore())
  for (const event of numbered(20)) emit(event)
  await expect.poll(() => log.queued, { timeout: 20_000 }).toBe(0)
  expect(write).toHaveBeenCalledTimes(1)
  for (const event of [...numbered(2, 20), handshakeOf({ host: 'h22.example.com', outcome: 'refused' })]) emit(event)
  await expect.poll(() => log.queued, { timeout: 20_000 }).toBe(0)
  await log.close()
  const hosts = (await linesOf(file)).slice(1).map((line) => JSON.parse(line).record.host)
  expect(hosts).toEqual(Array.from({ length: 23 }, (_, index) => `h${index}.example.com`))
  expect((await verify(file)).flaws).toEqual([])
})

test('a log goes on, with the number of what it lost, when the disk has room again', async () => {
  const lines: string[] = []
  let isFull = false
  const { on, emit } = createEmitter()
  const log = validationLog(
    { on },
    {
      write: (line) => {
        if (isFull) throw new Error('ENOSPC')
        lines.push(line)
      },
    },
  )
  const told = async (event: HandshakeEvent): Promise<void> => {
    emit(event)
    await expect.poll(() => log.queued).toBe(0)
  }
  await told(handshakeOf())
  isFull = true
  await told(handshakeOf())
  await told(handshakeOf())
  expect(log).toMatchObject({ lost: 2, failure: 'ENOSPC' })
  isFull = false
  await told(handshakeOf())
  expect(log.failure).toBeUndefined()
  await log.close()
  const types = lines.map((line) => JSON.parse(line).record.type)
  expect(types).toEqual(['log.begun', 'validation', 'log.lost', 'validation'])
})

test('a file that is something else is left alone', async () => {
  const file = await place()
  await writeFile(file, 'the diary of somebody\n')
  const log = await logged(numbered(2), { file })
  expect(log).toMatchObject({ lost: 2, failure: expect.stringContaining('expected a chained log') })
  expect(await readFile(file, 'utf8')).toBe('the diary of somebody\n')
  const link = `${file}.link`
  await symlink(file, link)
  expect((await logged(numbered(1), { file: link })).lost).toBe(1)
})

test('a line without an end, however long, costs no more memory than a line', async () => {
  const file = await place()
  await logged(numbered(1), { file })
  await appendFile(file, 'x'.repeat(9 * 1024 ** 2))
  await appendFile(file, '\n')
  expect((await verify(file)).flaws).toMatchObject([{ kind: 'edited', line: 3 }])
})

test.each([
  [{}, 'either file or write'],
  [{ file: 'a', write: () => undefined }, 'either file or write'],
  [{ file: 'a', capacity: 0 }, 'capacity'],
] as const)('refuses %j: ERR_CONFIG_INVALID', (options, what) => {
  const { on } = createEmitter()
  expect(() => validationLog({ on }, options)).toThrow(
    expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining(what) }),
  )
})

test('time is that of the runtime', async () => {
  const lines: string[] = []
  const runtime = { clock: { now: () => toUnixMs(Date.UTC(2031, 4, 5)), monotonic: () => 0 } }
  await logged([], { write: (line) => void lines.push(line), runtime })
  expect(JSON.parse(lines[0] ?? '').record).toEqual({ type: 'log.begun', at: '2031-05-05T00:00:00.000Z' })
})
