import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { selfSigned } from 'pinfetch/testing'
import { expect, onTestFinished, test } from 'vitest'

/** The command as a process: what only the entry does. */
const MAIN = ['--import', 'tsx', 'src/cli/main.ts']

test('reads a pipe, answers on stdout and ends', async () => {
  const { pem, pin } = selfSigned()
  const child = start(['pin', '-'])
  child.stdin.end(pem)
  const stdout: string[] = []
  child.stdout.on('data', (chunk) => stdout.push(String(chunk)))
  expect(await ended(child)).toEqual({ code: 0, signal: null })
  expect(stdout.join('')).toMatch(`${pin}  end entity  EC P-256`)
})

test('a reader that leaves is no error', async () => {
  const child = start(['--help'])
  child.stdout.destroy()
  child.stdin.end()
  expect(await ended(child)).toEqual({ code: 0, signal: null })
})

test('SIGINT ends a probe with 130', async () => {
  const silent = createServer((socket) => void socket.on('error', () => socket.destroy()))
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void silent.close())
  const { port } = silent.address() as { port: number }
  const child = start(['pin', `127.0.0.1:${port}`])
  silent.once('connection', () => child.kill('SIGINT'))
  expect(await ended(child)).toEqual({ code: 130, signal: null })
})

function start(argv: readonly string[]) {
  return spawn(process.execPath, [...MAIN, ...argv], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
}

function ended(child: ReturnType<typeof start>): Promise<{ code: number | null; signal: string | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
}
