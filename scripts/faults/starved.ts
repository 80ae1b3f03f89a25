import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { ca, HOST, server } from './world.ts'

/** A process under `ulimit -n` that opens files until none is left, calls, closes them, and calls again. */
export async function runStarved(port: number): Promise<readonly string[]> {
  const script = `
    import { closeSync, openSync } from 'node:fs'
    import { createClient } from './src/index.ts'
    const client = createClient({
      pins: { '${HOST}': ['${server.pin}'] }, anchors: process.env.CA, resolver: async () => ['127.0.0.1'],
      revocation: { fetch: 'never' }, timeouts: { connectMs: 3000 } })
    const call = () => client.fetch('https://${HOST}:${port}/').then(async (r) => r.status + ' ' + await r.text(), (e) => e.code)
    const held = []
    try { for (;;) held.push(openSync('/dev/null')) } catch (error) { if (error.code !== 'EMFILE') throw error }
    const first = await call()
    for (const one of held) closeSync(one)
    const second = await call()
    await client.close()
    process.stdout.write(JSON.stringify([first, second]))`
  const flags = ['--import', 'tsx', '--input-type=module', '--eval', script]
  const child = spawn('/bin/sh', ['-c', 'ulimit -n 256; exec "$@"', 'sh', process.execPath, ...flags], {
    cwd: resolve(import.meta.dirname, '../..'),
    env: { ...process.env, NODE_OPTIONS: '', VITEST: undefined, CA: ca.anchorPem },
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => (output.stdout += String(chunk)))
  child.stderr.on('data', (chunk) => (output.stderr += String(chunk)))
  await new Promise((end) => child.once('close', end))
  if (output.stdout === '') throw new Error(output.stderr)
  return JSON.parse(output.stdout) as string[]
}
