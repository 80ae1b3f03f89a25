import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Run, run } from '../support/run.ts'

const SCRIPT = join(import.meta.dirname, '../../scripts/release.ts')
const TSX = import.meta.resolve('tsx')
const TOLD = '# Changelog\n\n## 1.2.3 (2026-01-31)\n\n- Something new.\n'
const passes = 'node -e 0'

interface Package {
  readonly changelog?: string
  readonly scripts?: Readonly<Record<string, string>>
}

/** A small package of its own in a repository of its own, everything committed. */
function repository({ changelog = TOLD, scripts = {} }: Package = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-release-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const sbom = `node -e "console.log('{}')"`
  const all = { test: passes, package: passes, sbom, ...scripts }
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'pinfetch-release-trial', version: '1.2.3', scripts: all }),
  )
  writeFileSync(join(folder, 'CHANGELOG.md'), changelog)
  const git = (...args: readonly string[]) => execFileSync('git', args, { cwd: folder })
  git('init', '--quiet')
  git('add', '.')
  git('-c', 'user.name=A', '-c', 'user.email=a@example.com', 'commit', '--quiet', '-m', 'all of it')
  return folder
}

/** The registry is a port that nobody listens on. */
function release(folder: string, ...args: readonly string[]): Promise<Run> {
  const closed = { npm_config_registry: 'http://127.0.0.1:9/', npm_config_fetch_retries: '0' }
  const program = `process.chdir(${JSON.stringify(folder)}); await import(${JSON.stringify(SCRIPT)})`
  const argv = ['--import', TSX, '--input-type=module', '--eval', program, '--', ...args]
  const ci = { ACTIONS_ID_TOKEN_REQUEST_URL: undefined, SIGSTORE_ID_TOKEN: undefined }
  return run(argv, { ...closed, ...ci } as unknown as Record<string, string>)
}

test('a version that is told of, committed and checked goes through a dry run, which writes its bill of materials', async () => {
  const folder = repository()
  const { exitCode, stdout, stderr } = await release(folder, '--dry-run')
  expect([exitCode, exitCode === 0 ? '' : stderr]).toEqual([0, ''])
  expect(stdout).toContain('pinfetch-release-trial-1.2.3.cdx.json')
  expect(readFileSync(join(folder, 'pinfetch-release-trial-1.2.3.cdx.json'), 'utf8').trim()).toBe('{}')
})

test('a tree that differs from its commit is not released', async () => {
  const folder = repository()
  writeFileSync(join(folder, 'more.js'), '')
  const { exitCode, stderr } = await release(folder)
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('the tree differs from its commit')])
})

test.each<[string, string, string]>([
  ['no part of its own', TOLD.replace('1.2.3', '1.2.2'), 'has no part "## 1.2.3 ('],
  ['a part for a version that only looks like it', TOLD.replace('1.2.3', '1.2x3'), 'has no part "## 1.2.3 ('],
  ['a part without a date', TOLD.replace(' (2026-01-31)', ''), 'has no part "## 1.2.3 ('],
  ['an empty part', TOLD.replace('- Something new.', ''), 'says nothing of 1.2.3'],
  ['lines that wait', `${TOLD}\n## Unreleased\n\n- Something newer.\n`, 'lines that wait under "Unreleased"'],
])('a version whose changelog has %s is not released', async (_, changelog, reason) => {
  const { exitCode, stderr } = await release(repository({ changelog }))
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining(reason)])
})

test.each(['test', 'package'])('where npm run %s fails nothing is released', async (script) => {
  const { exitCode, stderr } = await release(repository({ scripts: { [script]: 'node -e "process.exit(3)"' } }))
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining(`npm run ${script} fails`)])
})

test('a version whose tag is on another commit is not released', async () => {
  const folder = repository()
  const git = (...args: readonly string[]) => execFileSync('git', args, { cwd: folder })
  git('tag', 'v1.2.3')
  git('-c', 'user.name=A', '-c', 'user.email=a@example.com', 'commit', '--quiet', '--allow-empty', '-m', 'more')
  const { exitCode, stderr } = await release(folder)
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('v1.2.3 is the tag of another commit')])
})

test('nobody publishes from a machine that cannot say what it built', async () => {
  const { exitCode, stderr } = await release(repository(), '--publish')
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('provenance needs the identity token of a CI run')])
})
