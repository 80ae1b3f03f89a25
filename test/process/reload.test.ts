import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { runModule } from '../support/run.ts'
import { backup, ca, hosts, pinned, startStage } from './stage.ts'

test('200 clients, each made, used and closed: heap, listeners and file descriptors stay where they were', async () => {
  const { env } = await startStage()
  const program = `
    import { existsSync, readdirSync } from 'node:fs'
    import { clientOf, get } from './test/process/child.ts'
    const warnings = []
    process.on('warning', ({ message }) => warnings.push(message))
    const statuses = new Set()
    const reload = async (times) => {
      for (let i = 0; i < times; i += 1) {
        const client = clientOf()
        statuses.add(await get(client))
        await client.close()
      }
    }
    const measure = async () => {
      for (let i = 0; i < 4; i += 1) {
        gc()
        await new Promise((resolve) => setTimeout(resolve, 50)) // sockets finish closing, finalizers run
      }
      return {
        heap: process.memoryUsage().heapUsed,
        descriptors: existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0,
        listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
        resources: process.getActiveResourcesInfo().length,
      }
    }
    await reload(60) // code is compiled, caches have what they keep
    const before = await measure()
    await reload(200)
    console.log(JSON.stringify({ before, after: await measure(), warnings, statuses: [...statuses] }))`
  const { exitCode, stdout, stderr } = await runModule(program, env, ['--expose-gc'])
  expect([exitCode, stderr]).toEqual([0, ''])
  const { before, after, warnings, statuses } = JSON.parse(stdout)
  expect([warnings, statuses]).toEqual([[], [200]])
  expect(after.heap - before.heap).toBeLessThan(200 * 16_384) // caches fill for a while yet; a client that stays holds ten times as much
  const { heap: _, ...counts } = after
  expect(counts).toEqual({
    descriptors: before.descriptors,
    listeners: before.listeners,
    resources: before.resources,
  })
})

test('the module twice in one process, as a dev server loads it: both work, and no global is changed or shared', async () => {
  const { env } = await startStage()
  const program = `
    import { register } from 'tsx/esm/api'
    const globals = () => Reflect.ownKeys(globalThis).map(String)
    void [fetch, Headers, Request, Response, FormData] // what Node itself makes at the first use
    const before = [globals(), fetch, process.eventNames().map(String)]
    const copies = []
    for (const namespace of ['first', 'second']) {
      const loader = register({ namespace })
      copies.push(await loader.import('./test/process/child.ts', 'file://' + process.cwd() + '/'))
    }
    const [first, second] = copies
    const clients = [first.clientOf(), second.clientOf()]
    const statuses = await Promise.all([first.get(clients[0]), second.get(clients[1])])
    await clients[0].close() // the one does not end the other
    statuses.push(await first.get(clients[0]), await second.get(clients[1]))
    const after = [globals(), fetch, process.eventNames().map(String)]
    await clients[1].close()
    console.log(JSON.stringify({
      statuses,
      areTwo: first.clientOf !== second.clientOf,
      added: after[0].filter((name) => !before[0].includes(name)),
      isSameFetch: before[1] === after[1],
      events: [before[2], after[2]],
    }))`
  const { exitCode, stdout, stderr } = await runModule(program, env)
  expect([exitCode, stderr]).toEqual([0, ''])
  const { events, ...report } = JSON.parse(stdout)
  const statuses = [200, 200, 'ERR_TRANSPORT_CLIENT_CLOSED', 200]
  const added = ['__zod_globalConfig', '__zod_globalRegistry'] // of the schema library; nothing of ours, no symbol
  expect(report).toEqual({ statuses, areTwo: true, added, isSameFetch: true })
  expect(events[1]).toEqual(events[0])
})

test.skipIf(process.platform === 'win32')(
  'F68: SIGHUP swaps the client under load, pins and keys rotating between: no request fails',
  async () => {
    const { env, api, repository } = await startStage()
    const program = fileURLToPath(new URL('./reloading.ts', import.meta.url))
    const child = spawn(process.execPath, ['--import', 'tsx', '--unhandled-rejections=strict', program], {
      env: { ...process.env, ...env, NODE_OPTIONS: '' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const next = async () => JSON.parse((await lines.next()).value ?? '{}')
    expect(await next()).toEqual({ started: true })

    const keys = [pinned, backup, ...Array.from({ length: SWAPS }, () => ca.issue({ names: ['api.example.com'] }))]
    for (let swap = 1; swap <= SWAPS; swap += 1) {
      // The manifest moves on first, the server afterwards: every client has the key it meets, or asks for it.
      await repository.publish({ hosts: hosts(...keys.slice(swap - 1, swap + 2).map(({ pin }) => pin)) })
      const before = api.requests.length
      child.kill('SIGHUP')
      expect(await next()).toEqual({ swapped: swap, failures: [] })
      api.setIdentity(keys[swap] ?? pinned)
      await expect.poll(() => api.requests.length, { timeout: 20_000 }).toBeGreaterThan(before + 200)
    }
    const exited = once(child, 'exit')
    child.stdin.end() // says: stop
    const { requests, failures, open } = await next()
    expect(failures).toEqual([])
    expect(requests).toBeGreaterThan(SWAPS * 200)
    expect(open).toBe(0)
    expect(await exited).toEqual([0, null])
  },
)

const SWAPS = 5
