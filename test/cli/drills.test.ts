import { readdirSync, readFileSync } from 'node:fs'
import { cp, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as realTime } from 'node:timers/promises'
import { type Client, type ClientEvent, PinfetchError } from 'pinfetch'
import { createTestRuntime, startManifestServer, startTlsServer, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { refusalOf, testClient, until } from '../support/client.ts'
import { settled } from '../support/scene.ts'
import { cli, cliJson, workplace } from './support.ts'

/*
 * What an operator practises, typed as the guide beside the sample repository has it, against clients that run and servers
 * that answer. The clock is moved by hand; nothing else is played.
 */

const SECOND = 1_000
const MINUTE = 60 * SECOND
const POLL = 60 * SECOND * 1.25 // the slowest client's

describe('drills', () => {
  test('kill a key: the status key alone stops it within a poll, and the manifest takes it over', async () => {
    const { fleet, fetchAll, op, pass, keys, server, path, ok } = await startDrill()
    await op('deny', keys.live.pin, '--reason', 'leaked')
    await rename(path('pins.keys/manifest-1.pem'), path('manifest-1.pem'))
    await rename(path('pins.keys/manifest-2.pem'), path('manifest-2.pem'))
    await ok('manifest', 'heartbeat', '--dir', path('pins'), '--to', path('public'))
    await pass(POLL)
    expect(await fetchAll()).toEqual(fleet.map(() => 'ERR_TRUST_PIN_DENIED'))

    server.setIdentity(keys.reserve)
    server.destroyConnections()
    expect(await fetchAll()).toEqual(fleet.map(() => 200))

    await rename(path('manifest-1.pem'), path('pins.keys/manifest-1.pem'))
    await rename(path('manifest-2.pem'), path('pins.keys/manifest-2.pem'))
    const list = JSON.parse(await readFile(path('pins/hosts.json'), 'utf8'))
    const { deny: _, ...rest } = list
    const revocations = { spki: [{ sha256: keys.live.pin, since: '2026-01-01T00:00:00Z', reason: 'leaked' }] }
    await writeFile(path('pins/hosts.json'), JSON.stringify({ ...rest, revocations }))
    const verified = await publishAndVerify()
    expect(verified).toMatchObject({ status: { denies: 0 } })
    await pass(POLL)
    server.setIdentity(keys.live)
    server.destroyConnections()
    expect(new Set(await fetchAll())).not.toContain(200)
    server.setIdentity(keys.reserve)
    server.destroyConnections()
    expect(await fetchAll()).toEqual(fleet.map(() => 200))

    async function publishAndVerify() {
      await ok('manifest', 'publish', '--dir', path('pins'), '--to', path('public'))
      const argv = ['manifest', 'verify', '--dir', path('public'), '--root', path('pins/root.json')]
      return (await cliJson(argv)).answer.data
    }
  })

  test('rotate the root: a holder leaves, another joins, and applications keep the root they shipped', async () => {
    const { fleet, fetchAll, pass, path, ok, events, start, url } = await startDrill()
    await ok('keys', 'new', 'root', '--keys', path('pins.keys'), '--name', 'dave')
    const leaver = await kidOf(path('pins'), 'root')
    const added = `root:${path('pins.keys/root-dave.pub.json')}`
    await ok('keys', 'rotate-root', '--dir', path('pins'), '--add', added, '--remove', leaver)
    await ok('manifest', 'publish', '--dir', path('pins'), '--to', path('public'))
    await pass(2 * POLL)
    const moved = events.filter(({ type }) => type === 'manifest.root')
    expect(moved).toHaveLength(fleet.length)
    expect(await fetchAll()).toEqual(fleet.map(() => 200))
    const late = await start()
    expect((await late.fetch(url)).status).toBe(200)
  })

  test('a stolen status key: what the thief denied works again, and nothing that the key signs counts', async () => {
    const { fleet, fetchAll, op, pass, keys, path, ok, events } = await startDrill()
    await mkdir(path('thief'))
    await cp(path('pins'), path('thief/pins'), { recursive: true })
    await cp(path('pins.keys/status.pem'), path('thief/status.pem'))
    const steal = async (pins: readonly string[]): Promise<void> => {
      for (const pin of pins) await ok('manifest', 'deny', pin, '--dir', path('thief/pins'))
      const argv = ['--dir', path('thief/pins'), '--keys', path('thief'), '--to', path('public')]
      await ok('manifest', 'heartbeat', ...argv, '--allow', 'blocks-only-live-pin')
    }
    const pins = [keys.live.pin, keys.reserve.pin]
    await op('lint')
    for (let version = 0; version < 3; version += 1) await steal(version === 0 ? pins : []) // far ahead in versions
    await pass(POLL)
    expect(new Set(await fetchAll())).not.toContain(200)

    const stolen = await kidOf(path('pins'), 'status')
    await rename(path('pins.keys/status.pem'), path('thief/kept.pem'))
    await ok('keys', 'new', 'status', '--keys', path('pins.keys'), '--name', 'second')
    const added = `status:${path('pins.keys/status-second.pub.json')}`
    await ok(
      'keys',
      'rotate-root',
      '--dir',
      path('pins'),
      '--add',
      added,
      '--remove',
      stolen,
      '--raise-epoch',
      'status',
    )
    for (const pin of pins) await op('undeny', pin)
    await ok('manifest', 'publish', '--dir', path('pins'), '--to', path('public'))
    await pass(2 * POLL)
    expect(await fetchAll()).toEqual(fleet.map(() => 200))

    const forged = await readFile(path('thief/pins/status.json'))
    await writeFile(path('public/status.json'), forged)
    await pass(2 * POLL)
    expect(await fetchAll()).toEqual(fleet.map(() => 200))
    const codes = events.flatMap((event) => (event.type === 'manifest.rejected' ? [event.code] : []))
    expect(codes).toContain('ERR_MANIFEST_SIG_THRESHOLD')
  })

  test('a partner rotated unannounced and every pin is wrong: the fleet is back within two minutes of the signatures', async () => {
    const { fleet, fetchAll, path, ok, ca, other, server, url, port, now, pass } = await startDrill({ partner: true })
    const moved = other.issue({ names: ['localhost'] })
    await writeFile(path('ca.pem'), ca.anchorPem + other.anchorPem)
    server.setIdentity(moved)
    server.destroyConnections()
    expect(await fetchAll()).toEqual(fleet.map(() => 'ERR_TRUST_PIN_MISMATCH'))
    const [first] = fleet
    const refused = await refusalOf(first?.fetch(url) ?? Promise.resolve(), 'ERR_TRUST_PIN_MISMATCH')
    expect(refused.message).toContain(moved.pin) // to compare with what the partner says on the telephone

    for (const [index, name] of ['alice', 'bob'].entries()) {
      await mkdir(path(name))
      await rename(path(`pins.keys/manifest-${index + 1}.pem`), path(`${name}/manifest-1.pem`))
    }
    await rename(path('pins.keys/manifest-3.pem'), path('manifest-3.pem')) // is asleep
    const added = ['--partner', '--replace', '--yes', '--expect', moved.pin, '--ca', path('ca.pem')]
    await ok('manifest', 'add-host', 'localhost', '--port', port, '--dir', path('pins'), ...added)
    await ok('manifest', 'sign', '--dir', path('pins'), '--keys', path('alice'))
    await cp(path('pins/pending/manifest.json'), path('bob/manifest.json'))
    await ok('manifest', 'sign', path('bob/manifest.json'), '--keys', path('bob'))
    await ok('manifest', 'merge', path('bob/manifest.json'), '--dir', path('pins'))
    await ok('manifest', 'publish', '--dir', path('pins'), '--to', path('public'))
    const published = now()
    while ((await fetchAll()).some((outcome) => outcome !== 200)) {
      expect(now() - published).toBeLessThan(2 * MINUTE)
      await pass(5 * SECOND)
    }
    expect(now() - published).toBeLessThanOrEqual(2 * MINUTE)
  })
})

async function startDrill({ partner = false } = {}) {
  const runtime = createTestRuntime({ now: Date.now() })
  const now = (): number => runtime.clock.now()
  const [ca, other] = [testCa(), testCa({ name: 'Other' })]
  const keys = { live: ca.issue({ names: ['localhost'] }), reserve: ca.issue({ names: ['localhost'] }) }
  const server = await until(startTlsServer({ identity: keys.live }))
  const port = String(server.port)
  const url = `https://localhost:${port}/`
  const { path } = await workplace()
  const ok = async (...argv: readonly string[]): Promise<void> => {
    const ran = await cli(argv, { now: now() })
    if (ran.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${ran.stderr}`)
  }
  await writeFile(path('ca.pem'), ca.anchorPem)
  await ok('init', path('pins'), '--repo', 'acme/pins', '--profile', 'team')
  const host = ['manifest', 'add-host', 'localhost', '--port', port, '--dir', path('pins')]
  if (partner) await ok(...host, '--partner', '--yes', '--expect', keys.live.pin, '--ca', path('ca.pem'))
  else await ok(...host, '--pin', keys.live.pin, keys.reserve.pin)
  await ok('manifest', 'publish', '--dir', path('pins'), '--to', path('public'), '--poll-interval', '60')

  const identity = ca.issue({ names: ['localhost'] })
  const site = await until(startManifestServer({ files: () => filesBelow(path('public')), identity }))
  const events: ClientEvent[] = []
  const start = async (): Promise<Client> => {
    const client = testClient({
      manifest: { url: site.url, root: path('pins/root.json'), memoryOnly: true },
      anchors: ca.anchorPem + other.anchorPem,
      runtime,
    })
    for (const type of ['manifest.root', 'manifest.rejected'] as const) client.on(type, (event) => events.push(event))
    await settled(client.ready(), runtime)
    return client
  }
  const fleet: Client[] = []
  while (fleet.length < FLEET) fleet.push(await start())

  /** The clock stands still while the servers are being talked to, however slow this machine is. */
  const pass = async (ms: number): Promise<void> => {
    const activity = (): number => site.accepted + site.requests.length
    for (let passed = 0; passed < ms; passed += SECOND) {
      let seen = activity()
      await runtime.advance(SECOND)
      await realTime(5)
      while (activity() !== seen) {
        seen = activity()
        await realTime(60)
      }
    }
  }
  /** A connection that was cut a moment ago may still stand in a pool; any client asks again then. */
  const outcomeOf = async (client: Client): Promise<number | string> => {
    try {
      return (await client.fetch(url)).status
    } catch (error) {
      if (!(error instanceof PinfetchError)) throw error
      return error.code === 'ERR_TRANSPORT_CLOSED' ? outcomeOf(client) : error.code
    }
  }
  const fetchAll = (): Promise<readonly (number | string)[]> => Promise.all(fleet.map(outcomeOf))
  expect(await fetchAll()).toEqual(fleet.map(() => 200))
  const op = (...argv: readonly string[]) => ok('manifest', ...argv, '--dir', path('pins'))
  return { ca, other, keys, server, port, url, path, ok, op, now, start, fleet, events, pass, fetchAll }
}

async function kidOf(directory: string, role: string): Promise<string> {
  const { answer } = await cliJson(['keys', 'list', '--dir', directory])
  const keys = answer.data?.['keys'] as readonly { readonly role: string; readonly kid: string }[]
  return keys.find((key) => key.role === role)?.kid ?? ''
}

function filesBelow(directory: string): ReadonlyMap<string, Uint8Array> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = entries.map((entry) => join(entry.parentPath, entry.name))
  return new Map(paths.map((path) => [path.slice(directory.length + 1), readFileSync(path)]))
}

const FLEET = 6
