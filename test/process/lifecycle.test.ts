import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runModule } from '../support/run.ts'
import { startStage } from './stage.ts'

const STRICT = ['--unhandled-rejections=strict', '--trace-warnings']

test('a client that fetched and was closed leaves no socket, timer, handle or listener', async () => {
  const { env } = await startStage()
  const program = `
    import { systemRuntime } from './src/ports/system.ts'
    import { clientOf, get } from './test/process/child.ts'
    const left = () => [
      ...process.getActiveResourcesInfo().filter((kind) => !/^(PipeWrap|TTYWrap|Immediate)$/.test(kind)),
      ...process.eventNames().flatMap((name) => process.listeners(name).map(() => String(name))),
    ]
    const timers = new Set() // those that keep no process alive are not listed
    const schedule = (afterMs, run) => {
      const cancel = systemRuntime.schedule(afterMs, () => timers.delete(timer) && run())
      const timer = () => timers.delete(timer) && cancel()
      timers.add(timer)
      return timer
    }
    const before = left()
    const client = clientOf({ runtime: { ...systemRuntime, schedule } })
    await client.ready()
    const statuses = await Promise.all([get(client), get(client)])
    const during = timers.size
    await client.close()
    const added = () => {
      const after = left()
      for (const name of before) if (after.includes(name)) after.splice(after.indexOf(name), 1)
      return after
    }
    for (let i = 0; i < 10_000 && added().length > 0; i += 1) await new Promise(setImmediate) // a read of the loader ends soon
    console.log(JSON.stringify({ statuses, after: added(), timers: [during > 0, timers.size] }))`
  const { exitCode, stdout, stderr } = await runModule(program, env, STRICT)
  expect([exitCode, stderr]).toEqual([0, ''])
  expect(JSON.parse(stdout)).toEqual({ statuses: [200, 200], after: [], timers: [true, 0] })
})

test.each(['memory', 'a cache and a watched directory'])(
  'a client that is never closed keeps no process alive, its connection and its polls notwithstanding (%s)',
  async (kind) => {
    const { env, api, repository } = await startStage()
    const folder = mkdtempSync(join(tmpdir(), 'pinfetch-life-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const program = `
      import { writeRepository } from './src/publisher/directory.ts'
      import { clientOf, get } from './test/process/child.ts'
      const files = new Map(JSON.parse(process.env.FILES).map(([path, text]) => [path, Buffer.from(text, 'base64')]))
      await writeRepository(${JSON.stringify(join(folder, 'public'))}, files)
      const options = ${kind === 'memory' ? '{}' : JSON.stringify({ source: join(folder, 'public'), cacheDir: join(folder, 'cache') })}
      const client = clientOf(options)
      console.log(await get(client), await get(client))
      globalThis.kept = client`
    const files = [...repository.files()].map(([path, bytes]) => [path, Buffer.from(bytes).toString('base64')])
    const { exitCode, stdout, stderr } = await runModule(program, { ...env, FILES: JSON.stringify(files) }, STRICT)
    expect([exitCode, stdout, stderr]).toEqual([0, '200 200\n', ''])
    expect(api.connections.length).toBeGreaterThan(0)
  },
)

test('who waits for an answer keeps the process alive until it is there', async () => {
  const { env, server } = await startStage()
  server.respond('status.json', { delayMs: 500 })
  const program = `
    import { clientOf, get } from './test/process/child.ts'
    get(clientOf()).then(console.log)`
  expect(await runModule(program, env, STRICT)).toEqual({ exitCode: 0, stdout: '200\n', stderr: '' })
})

test('a client without a source, closed or dropped, raises no unhandled rejection', async () => {
  const { env, server } = await startStage()
  server.respond('*', { status: 503 })
  for (const end of ['await client.close()', '', 'await client.close(); await client.close()']) {
    const program = `
      import { clientOf } from './test/process/child.ts'
      const client = clientOf()
      ${end}
      await new Promise((resolve) => setTimeout(resolve, 300)) // long enough for the first attempt to fail
      console.log(client.health().state)`
    const state = end === '' ? 'unready' : 'closed'
    expect(await runModule(program, env, STRICT)).toEqual({ exitCode: 0, stdout: `${state}\n`, stderr: '' })
  }
})

test('close() lets requests in flight finish, and refuses the next with ERR_TRANSPORT_CLIENT_CLOSED', async () => {
  const { env } = await startStage()
  const program = `
    import { clientOf, get } from './test/process/child.ts'
    const client = clientOf()
    await get(client)
    const flying = Array.from({ length: 8 }, () => get(client))
    await new Promise(setImmediate) // they are dispatched by then
    const closed = client.close()
    const late = await get(client)
    console.log(JSON.stringify([await Promise.all(flying), late]))
    await closed`
  const { exitCode, stdout, stderr } = await runModule(program, env, STRICT)
  expect([exitCode, stderr]).toEqual([0, ''])
  expect(JSON.parse(stdout)).toEqual([Array(8).fill(200), 'ERR_TRANSPORT_CLIENT_CLOSED'])
})
