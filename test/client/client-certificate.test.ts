import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClientEvent } from 'pinfetch'
import { createTestRuntime, type IssueOptions, type TestCertificate, type TestRuntime, testCa } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createOwnCertificate, type OwnCertificate } from '../../src/client/certificate.ts'
import { CertificateSchema } from '../../src/client/certificate-options.ts'
import type { WatchFolder } from '../../src/ports/runtime.ts'
import { watchFolder as realWatchFolder } from '../../src/ports/system.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = createTestRuntime().clock.now()
const ca = testCa({ name: 'Clients', now: START })

let made = 0
const issue = (options: IssueOptions = {}): TestCertificate => {
  made += 1
  const serial = Uint8Array.of(1, made >> 8, made & 0xff)
  return ca.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'], serial, ...options })
}
const serialOf = ({ serial }: TestCertificate): string => Buffer.from(serial).toString('hex')
const pair = ({ pem, keyPem }: TestCertificate) => ({ cert: pem, key: keyPem })

interface Own {
  readonly own: OwnCertificate
  readonly runtime: TestRuntime
  readonly events: ClientEvent[]
  readonly types: () => string[]
  readonly changes: () => number
}

function start(option: object, watchFolder: WatchFolder = () => () => {}): Own {
  const runtime = createTestRuntime()
  const events: ClientEvent[] = []
  let changes = 0
  const own = createOwnCertificate(CertificateSchema.parse(option), {
    runtime,
    watchFolder,
    emit: (event) => events.push(event),
    changed: () => {
      changes += 1
    },
  })
  onTestFinished(() => own.close())
  return { own, runtime, events, types: () => events.map(({ type }) => type), changes: () => changes }
}

describe('over its life', () => {
  const life = (): TestCertificate => issue({ notBefore: START, notAfter: START + 90 * HOUR })

  test('tells at two thirds, give or take a twentieth, at nine tenths and at the end, each once', async () => {
    const { own, runtime, types } = start(pair(life()))
    await runtime.advance(55 * HOUR)
    expect([types(), own.health()?.state]).toEqual([['certificate.loaded'], 'valid'])
    await runtime.advance(11 * HOUR)
    expect([types().at(-1), own.health()?.state]).toEqual(['certificate.renewalDue', 'renewalDue'])
    await runtime.advance(16 * HOUR)
    expect([types().at(-1), own.health()?.state]).toEqual(['certificate.expiring', 'expiring'])
    await runtime.advance(9 * HOUR)
    expect([types().at(-1), own.health()?.state]).toEqual(['certificate.expired', 'expired'])
    await runtime.advance(90 * HOUR)
    expect(types()).toEqual([
      'certificate.loaded',
      'certificate.renewalDue',
      'certificate.expiring',
      'certificate.expired',
    ])
    expect(runtime.pendingTimers).toBe(0)
  })

  test('does not fall due in one moment for a whole fleet', async () => {
    const due: number[] = []
    for (let member = 0; member < 20; member += 1) {
      const runtime = createTestRuntime({ seed: `member ${member}` })
      const own = createOwnCertificate(CertificateSchema.parse(pair(life())), {
        runtime,
        watchFolder: () => () => {},
        emit: ({ type }) => {
          if (type === 'certificate.renewalDue') due.push((runtime.clock.now() - START) / (90 * HOUR))
        },
        changed: () => {},
      })
      await runtime.advance(70 * HOUR)
      own.close()
    }
    expect(due).toHaveLength(20)
    expect(Math.min(...due)).toBeGreaterThanOrEqual(2 / 3 - 0.05)
    expect(Math.max(...due)).toBeLessThanOrEqual(2 / 3 + 0.05)
    expect(new Set(due.map((share) => share.toFixed(3))).size).toBeGreaterThan(10)
  })

  test('notices that the wall clock was set, without a timer of its own', async () => {
    const { runtime, types } = start(pair(life()))
    await runtime.advance(1_000)
    runtime.setWall(START + 89 * HOUR)
    await runtime.advance(HOUR)
    expect(types().slice(1)).toEqual(['certificate.renewalDue', 'certificate.expiring'])
  })

  test('one that is loaded late in its life says so at once', async () => {
    const { runtime, types } = start(pair(issue({ notBefore: START - 80 * HOUR, notAfter: START + 10 * HOUR })))
    await runtime.advance(0)
    expect(types()).toEqual(['certificate.loaded', 'certificate.renewalDue'])
  })
})

describe('renew', () => {
  const old = issue({ notBefore: START, notAfter: START + 90 * HOUR })

  test('is called when renewal is due, and what it answers is used from then on', async () => {
    const next = issue({ notBefore: START, notAfter: START + 180 * HOUR })
    let calls = 0
    const renew = async () => {
      calls += 1
      return pair(next)
    }
    const { own, runtime, types, changes } = start({ ...pair(old), renew })
    await runtime.advance(55 * HOUR)
    expect([calls, own.current().serial]).toEqual([0, serialOf(old)])
    await runtime.advance(11 * HOUR)
    expect([calls, own.current().serial, changes()]).toEqual([1, serialOf(next), 1])
    expect(types()).toEqual(['certificate.loaded', 'certificate.renewalDue', 'certificate.loaded'])
    expect(own.health()).toMatchObject({ serial: serialOf(next), notAfter: START + 180 * HOUR, state: 'valid' })
  })

  test('is called again with growing pauses while it fails or answers what is refused; the old one stays', async () => {
    const next = issue({ notBefore: START, notAfter: START + 180 * HOUR })
    const answers = [
      () => Promise.reject(new Error('the CA is down')),
      () => Promise.resolve({ cert: next.pem, key: old.keyPem }),
      () => Promise.resolve(undefined),
      () => Promise.resolve(pair(issue({ notAfter: START + 1 }))),
      () => Promise.resolve(pair(old)),
      () => Promise.resolve(pair(next)),
    ]
    const at: number[] = []
    const { own, runtime, events } = start({
      ...pair(old),
      renew: () => {
        at.push(runtime.clock.now())
        return answers[at.length - 1]?.()
      },
    })
    await runtime.advance(66 * HOUR)
    expect(own.current().serial).toBe(serialOf(next))
    const pauses = at.slice(1).map((time, index) => (time - (at[index] ?? 0)) / 60_000)
    expect(pauses).toHaveLength(5)
    for (const [index, minutes] of pauses.entries()) {
      expect(minutes).toBeGreaterThanOrEqual(0.75 * 2 ** index)
      expect(minutes).toBeLessThanOrEqual(1.25 * 2 ** index)
    }
    expect(events.filter(({ type }) => type === 'certificate.rejected')).toMatchObject([
      { code: 'ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE', message: expect.stringContaining('the CA is down') },
      { code: 'ERR_CONFIG_CERTIFICATE_MISMATCH' },
      { code: 'ERR_CONFIG_CERTIFICATE', message: expect.stringContaining('expected an answer') },
      { code: 'ERR_CONFIG_CERTIFICATE_EXPIRED' },
    ])
  })

  test('one that never answers is given up after five minutes, and called again', async () => {
    let calls = 0
    const renew = () => {
      calls += 1
      return new Promise(() => {})
    }
    const { runtime, types } = start({ ...pair(old), renew })
    await runtime.advance(66 * HOUR)
    expect(calls).toBeGreaterThan(1)
    expect(types()).toContain('certificate.rejected')
  })
})

describe('load', () => {
  test('until it answered there is none: ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE; then it is asked after refreshMs', async () => {
    const [one, two] = [issue(), issue()]
    let given = one
    const { own, runtime, changes } = start({ load: async () => pair(given), refreshMs: 60_000 })
    expect(() => own.current()).toThrow(expect.objectContaining({ code: 'ERR_TLS_CLIENT_CERTIFICATE_UNAVAILABLE' }))
    expect(own.health()).toBeUndefined()
    await own.loading()
    expect([own.current().serial, own.loading()]).toEqual([serialOf(one), undefined])
    await runtime.advance(120_000)
    expect(changes()).toBe(0)
    given = two
    await runtime.advance(60_000)
    expect([own.current().serial, changes()]).toEqual([serialOf(two), 1])
  })

  test('one that fails at the start is called again after a second, two, four', async () => {
    let calls = 0
    const one = issue()
    const load = async () => {
      calls += 1
      if (calls === 2) throw Object.create(null) // has no text
      if (calls < 4) throw new Error('no agent')
      return pair(one)
    }
    const { own, runtime, types } = start({ load })
    await own.loading()
    expect(() => own.current()).toThrow(expect.objectContaining({ retryable: true }))
    await runtime.advance(10_000)
    expect([calls, own.current().serial]).toEqual([4, serialOf(one)])
    expect(types()).toEqual([...Array(3).fill('certificate.rejected'), 'certificate.loaded'])
  })

  test('changed() of watch leads to a load, and its end is called at close', async () => {
    let given = issue()
    let change = (): void => {}
    let ended = 0
    const { own, runtime } = start({
      load: async () => pair(given),
      watch: (changed: () => void) => {
        change = changed
        return () => {
          ended += 1
        }
      },
    })
    await runtime.advance(0)
    given = issue()
    change()
    await runtime.advance(0)
    expect(own.current().serial).toBe(serialOf(given))
    own.close()
    await runtime.advance(0)
    expect([ended, runtime.pendingTimers]).toEqual([1, 0])
  })
})

interface Folder {
  readonly option: { certFile: string; keyFile: string }
  readonly write: (which: TestCertificate) => void
  readonly path: (name: string) => string
}

function folder(first: TestCertificate): Folder {
  const path = mkdtempSync(join(tmpdir(), 'pinfetch-identity-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  const at = (name: string): string => join(path, name)
  const write = (which: TestCertificate): void => {
    writeFileSync(at('tls.crt'), which.pem)
    writeFileSync(at('tls.key'), which.keyPem, { mode: 0o600 })
  }
  write(first)
  return { option: { certFile: at('tls.crt'), keyFile: at('tls.key') }, write, path: at }
}

describe('files', () => {
  /** Lets the reads of the watch happen: they are outside the clock. */
  const settle = async (runtime: TestRuntime, condition: () => boolean): Promise<void> => {
    await expect.poll(async () => runtime.advance(500).then(condition), { timeout: 20_000 }).toBe(true)
  }

  test('are read at the start; a missing one is ERR_CONFIG_FILE', () => {
    const first = issue()
    const { option, path } = folder(first)
    expect(start(option).own.current().serial).toBe(serialOf(first))
    expect(() => start({ ...option, keyFile: path('none.key') })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_FILE', message: expect.stringContaining('none.key') }),
    )
    writeFileSync(path('tls.crt'), issue().pem)
    expect(() => start(option)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_CERTIFICATE_MISMATCH' }))
  })

  test('that change between the first read and the watch are noticed', async () => {
    const [first, second] = [issue(), issue()]
    const { option, write } = folder(first)
    const { own, runtime } = start(option)
    write(second)
    await settle(runtime, () => own.current().serial === serialOf(second))
  })

  test.each(['rewritten in place', 'renamed over', 'swapped as Kubernetes does'])(
    '%s: the next one is used, without one event that something was refused',
    async (how) => {
      const first = issue()
      const { option, write, path } = folder(first)
      const mount = (name: string, which: TestCertificate): void => {
        mkdirSync(path(name))
        writeFileSync(path(`${name}/tls.crt`), which.pem)
        writeFileSync(path(`${name}/tls.key`), which.keyPem, { mode: 0o600 })
        symlinkSync(name, path('..data_tmp'))
        renameSync(path('..data_tmp'), path('..data'))
      }
      if (how.startsWith('swapped')) {
        mount('..2026_01', first)
        for (const name of ['tls.crt', 'tls.key']) {
          unlinkSync(path(name))
          symlinkSync(`..data/${name}`, path(name))
        }
      }
      const { own, runtime, types, changes } = start(option)
      await runtime.advance(500)
      for (let turn = 2; turn < 6; turn += 1) {
        const next = issue()
        if (how.startsWith('rewritten')) write(next)
        else if (how.startsWith('swapped')) mount(`..2026_0${turn}`, next)
        else {
          writeFileSync(path('new.crt'), next.pem)
          writeFileSync(path('new.key'), next.keyPem, { mode: 0o600 })
          renameSync(path('new.key'), path('tls.key'))
          renameSync(path('new.crt'), path('tls.crt'))
        }
        await settle(runtime, () => own.current().serial === serialOf(next))
      }
      expect(changes()).toBe(4)
      expect(new Set(types())).toEqual(new Set(['certificate.loaded']))
    },
  )

  test('half written, the pair is refused with one event, the old one stays, and the whole pair is used', async () => {
    const [first, second] = [issue(), issue()]
    const { option, write, path } = folder(first)
    const { own, runtime, events } = start(option)
    await runtime.advance(500)
    const refused = () => events.filter(({ type }) => type === 'certificate.rejected')
    writeFileSync(path('tls.crt'), second.pem)
    await settle(runtime, () => refused().length > 0)
    for (let turn = 0; turn < 10; turn += 1) await runtime.advance(500)
    expect(refused()).toMatchObject([{ code: 'ERR_CONFIG_CERTIFICATE_MISMATCH' }])
    expect(own.current().serial).toBe(serialOf(first))
    unlinkSync(path('tls.key'))
    await settle(runtime, () => refused().length > 1)
    expect(refused()[1]).toMatchObject({ code: 'ERR_CONFIG_FILE' })
    write(second)
    await settle(runtime, () => own.current().serial === serialOf(second))
    expect(refused()).toHaveLength(2)
  })

  test('are noticed without the clock where the file system tells', async () => {
    const first = issue()
    const { option, write } = folder(first)
    const { own } = start(option, realWatchFolder)
    await new Promise((resolve) => setTimeout(resolve, 50))
    const next = issue()
    write(next)
    await expect.poll(() => own.current().serial, { timeout: 20_000 }).toBe(serialOf(next))
  })

  test.skipIf(process.platform === 'win32')('a key that others can read is told, at the start and again', async () => {
    const { option, write, path } = folder(issue())
    chmodSync(path('tls.key'), 0o644)
    const { runtime, events } = start(option)
    const told = () => events.filter(({ type }) => type === 'posture')
    await runtime.advance(0)
    expect(told()).toEqual([
      { type: 'posture', subject: `certificate: ${option.keyFile}`, effect: expect.stringContaining('mode 644') },
    ])
    write(issue())
    await settle(runtime, () => told().length === 2)
    const quiet = start(folder(issue()).option)
    await quiet.runtime.advance(500)
    expect(quiet.types()).toEqual(['certificate.loaded'])
  })

  test('nothing is watched after close', async () => {
    const first = issue()
    const { option, write } = folder(first)
    const { own, runtime, types } = start(option)
    await runtime.advance(500)
    own.close()
    write(issue())
    await runtime.advance(5_000)
    expect([runtime.pendingTimers, own.current().serial, types()]).toEqual([0, serialOf(first), ['certificate.loaded']])
  })
})

describe('the option', () => {
  test.each<[object, string, RegExp]>([
    [{ cert: 'x' }, 'key', /expected beside/],
    [{ key: 'x' }, 'cert', /expected beside/],
    [{}, 'cert', /expected beside/],
    [{ certFile: 'x' }, 'keyFile', /expected beside/],
    [{ certFile: 'x', keyFile: 'y', cert: 'z' }, 'cert', /does not go with certFile/],
    [{ cert: 'x', key: 'y', load: async () => {} }, 'load', /does not go with cert/],
    [{ cert: 'x', privateKeyEngine: 'pkcs11' }, 'privateKeyIdentifier', /expected beside/],
    [{ cert: 'x', key: 'y', privateKeyEngine: 'pkcs11', privateKeyIdentifier: 'z' }, 'key', /does not go with/],
    [{ load: async () => {}, renew: async () => {} }, 'renew', /does not go with load/],
    [{ cert: 'x', privateKeyEngine: '/a/pkcs11.so', privateKeyIdentifier: 'z' }, 'privateKeyEngine', /not a path/],
    [{ load: 'agent' }, 'load', /expected a function/],
    [{ load: async () => {}, refreshMs: 10 }, 'refreshMs', /./],
  ])('refuses %j at %s', (option, path, message) => {
    const { error } = CertificateSchema.safeParse(option)
    expect(error?.issues[0]).toMatchObject({ path: [path], message: expect.stringMatching(message) })
  })

  test.each<[object, string]>([
    [{ cert: 'x', key: 'y', passphrase: 'z', renew: async () => {} }, 'given'],
    [{ cert: 'x', privateKeyEngine: 'pkcs11', privateKeyIdentifier: 'z' }, 'given'],
    [{ certFile: 'x', keyFile: 'y' }, 'files'],
    [{ certFile: 'x', privateKeyEngine: 'pkcs11', privateKeyIdentifier: 'z' }, 'files'],
    [{ load: async () => {}, refreshMs: 1_000, watch: () => {} }, 'loader'],
  ])('takes %j', (option, kind) => {
    expect(CertificateSchema.parse(option).kind).toBe(kind)
  })
})

test('a certificate that lives a day is renewed for two months, each time before it ends', async () => {
  let issued = issue({ notBefore: START, notAfter: START + DAY })
  let worst = Number.POSITIVE_INFINITY
  const { own, runtime, types } = start({
    ...pair(issued),
    renew: async () => {
      const now = runtime.clock.now()
      worst = Math.min(worst, (own.health()?.notAfter ?? 0) - now)
      issued = issue({ notBefore: now, notAfter: now + DAY })
      return pair(issued)
    },
  })
  await runtime.advance(60 * DAY)
  expect(worst).toBeGreaterThan(DAY / 4)
  expect(types().filter((type) => type === 'certificate.renewalDue').length).toBeGreaterThan(80)
  expect(types()).not.toContain('certificate.expiring')
})
