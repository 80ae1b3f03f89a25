import { spawn, spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { cli, cliJson, workplace } from './support.ts'

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')

describe('the heartbeat jobs that init writes', () => {
  test('GitHub Actions: every step, with a git remote', async () => {
    const { path, job, run, status } = await startRepository()
    const git = (...argv: readonly string[]) =>
      expect(spawnSync('git', argv, { cwd: path('acme'), encoding: 'utf8' })).toMatchObject({ status: 0 })
    git('init', '-q', '--bare', '-b', 'main', path('remote.git'))
    git('init', '-q', '-b', 'main')
    await writeFile(path('acme/.gitignore'), 'pins.keys/\n')
    git('add', '.')
    git('-c', 'user.name=a', '-c', 'user.email=a@localhost', 'commit', '-q', '-m', 'pins')
    git('push', '-q', '-u', path('remote.git'), 'main')
    git('config', 'branch.main.remote', path('remote.git'))
    git('config', 'branch.main.merge', 'refs/heads/main')

    const workflow = await job('heartbeat.github.yml')
    const steps = stepsOf(workflow)
    expect(steps).toHaveLength(4)
    await mkdir(path('runner'))
    const secrets = { PINFETCH_STATUS_KEY: await readFile(path('acme/pins.keys/status.pem'), 'utf8') }
    expect([...workflow.matchAll(/secrets\.(\w+)/g)].map(([, name]) => name)).toEqual([
      'PINFETCH_PASSPHRASE',
      'PINFETCH_STATUS_KEY',
    ])
    await rm(path('acme/pins.keys'), { recursive: true })
    for (const step of steps) await run(step, { cwd: path('acme'), env: { RUNNER_TEMP: path('runner'), ...secrets } })
    expect(await status()).toBe(2)
    git('clone', '-q', path('remote.git'), path('clone'))
    expect(await status(path('clone/public'))).toBe(2)
  })

  test('cron: every line, from anywhere', async () => {
    const { path, job, run, status } = await startRepository()
    const lines = (await job('heartbeat.crontab')).split('\n').filter((line) => /^[\d*]/.test(line))
    expect(lines).toHaveLength(2)
    for (const line of lines) {
      const [, schedule, command = ''] = /^((?:\S+ ){5})(.+)$/.exec(line) ?? []
      expect(schedule).toMatch(/^[\d*/]+ [\d*/]+ \* \* \* $/)
      expect(command).not.toContain('%') // a line break, to cron
      expect(await run(command, { cwd: path('.') })).toBe('')
    }
    expect(await status()).toBe(2)
    await rm(path('acme/pins.keys'), { recursive: true })
    const [heartbeat = ''] = lines
    expect(await run(heartbeat.replace(/^(\S+ ){5}/, ''), { cwd: path('.') })).toContain('ERR_MANIFEST_SIG_THRESHOLD')
  })

  test('Kubernetes: the container’s script, where its volumes are mounted', async () => {
    const { path, job, run, status } = await startRepository()
    const manifest = await job('heartbeat.kubernetes.yml')
    const script = blockAfter(manifest, /^ +- \|$/m).replaceAll('/keys', path('acme/pins.keys'))
    expect(manifest).toContain('workingDir: /work')
    await run(script, { cwd: path('acme'), shell: ['sh', '-ec'] })
    expect(await status()).toBe(2)
  })

  test('a job that cannot sign fails', async () => {
    const { path, job, run } = await startRepository()
    await rm(path('acme/pins.keys'), { recursive: true })
    const script = blockAfter(await job('heartbeat.kubernetes.yml'), /^ +- \|$/m)
    await expect(run(script, { cwd: path('acme'), shell: ['sh', '-ec'] })).rejects.toThrow('ERR_MANIFEST_SIG_THRESHOLD')
  })

  test('run as often as the profile needs: solo once a day, the others six times', async () => {
    const schedules = await Promise.all(
      ['solo', 'team', 'high'].map(async (profile) => {
        const { job } = await startRepository(profile)
        return Promise.all(
          JOBS.map(async (name) => /(?:cron: '|schedule: '|^)(17 \S+ \* \* \*)/m.exec(await job(name))?.[1]),
        )
      }),
    )
    const [daily, often] = ['17 5 * * *', '17 */4 * * *']
    expect(schedules).toEqual([Array(3).fill(daily), Array(3).fill(often), Array(3).fill(often)])
  })
})

const JOBS = ['heartbeat.crontab', 'heartbeat.github.yml', 'heartbeat.kubernetes.yml']

/** The text of each `run:`. */
function stepsOf(workflow: string): readonly string[] {
  return workflow.split(/^ +- (?=\w+:)/m).flatMap((step) => {
    const [, inline = ''] = /^run: (.*)$/m.exec(step) ?? []
    if (!step.startsWith('run:')) return []
    return [inline === '|' ? blockAfter(step, /^run: \|$/m) : inline]
  })
}

/** The lines below a `|` that are indented further than those around. */
function blockAfter(text: string, start: RegExp): string {
  const from = start.exec(text)
  const lines = text.slice((from?.index ?? 0) + (from?.[0].length ?? 0) + 1).split('\n')
  const indent = /^ */.exec(lines[0] ?? '')?.[0].length ?? 0
  const end = lines.findIndex((line) => !line.startsWith(' '.repeat(indent)))
  return lines
    .slice(0, end < 0 ? lines.length : end)
    .map((line) => line.slice(indent))
    .join('\n')
}

async function startRepository(profile = 'solo') {
  const { path } = await workplace()
  await mkdir(path('acme'))
  await cli(['init', path('acme/pins'), '--repo', 'acme/pins', '--profile', profile])
  const pins = [testCa().issue().pin, testCa().issue().pin]
  await cli(['manifest', 'add-host', 'a.example.com', '--dir', path('acme/pins'), '--pin', ...pins])
  const published = await cli(['manifest', 'publish', '--dir', path('acme/pins'), '--to', path('acme/public')])
  expect(published.exitCode).toBe(0)
  expect((await readdir(path('acme/pins/jobs'))).sort()).toEqual(JOBS)
  await mkdir(path('bin'))
  await writeFile(path('bin/npx'), NPX)
  await chmod(path('bin/npx'), 0o755)
  return {
    path,
    job: (name: string) => readFile(path(`acme/pins/jobs/${name}`), 'utf8'),
    run: (script: string, world: { cwd: string; env?: Record<string, string>; shell?: readonly string[] }) =>
      runScript(script, { ...world, bin: path('bin') }),
    status: async (folder = path('acme/public')) => {
      const argv = ['manifest', 'verify', '--dir', folder, '--root', path('acme/pins/root.json')]
      const { status } = (await cliJson(argv)).answer.data as { status: { version: number } }
      return status.version
    },
  }
}

/** @returns What it printed on standard output. Rejects with everything that it printed when it fails. */
function runScript(
  script: string,
  {
    cwd,
    env = {},
    shell = ['bash', '-e', '-o', 'pipefail', '-c'],
    bin,
  }: { cwd: string; env?: Record<string, string>; shell?: readonly string[]; bin: string },
): Promise<string> {
  const [program = '', ...args] = shell
  const inherited = { ...process.env, NODE_OPTIONS: '', PATH: `${bin}:${process.env['PATH']}`, ...env }
  const child = spawn(program, [...args, script], { cwd, env: inherited })
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => {
    said.stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    said.stderr += chunk
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve(said.stdout) : reject(new Error(said.stdout + said.stderr))))
  })
}

/** In place of the one that would ask the registry: the sources. */
const NPX = `#!/bin/sh
[ "$1" = --yes ] || exit 64
case "$2" in pinfetch@[0-9]*) ;; *) exit 64 ;; esac
shift 2
exec ${process.execPath} --import ${import.meta.resolve('tsx')} ${MAIN} "$@"
`
