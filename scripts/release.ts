/**
 * Checks that a version may go out, and with `--publish` sends it, with provenance: which commit and which workflow it was built from,
 * signed (SLSA, by Sigstore). Without `--publish` the registry hears nothing. Runs where the current folder is.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { publish: { type: 'boolean' }, 'dry-run': { type: 'boolean' } } })
const isReal = values.publish === true && values['dry-run'] !== true
const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'))

const refusal = treeIsDirty() ?? tagIsTaken() ?? versionIsUntold() ?? nobodyCanVouch() ?? aCheckFails()
if (refusal !== undefined) {
  process.stderr.write(`${name} ${version} is not released: ${refusal}\n`)
  process.exitCode = 1
} else {
  const bill = `${name}-${version}.cdx.json`
  writeFileSync(bill, execFileSync('npm', ['run', '--silent', 'sbom']))
  process.stdout.write(`${bill}: to be attached to the release\n`)
  const how = isReal ? ['--provenance'] : ['--dry-run'] // npm asks who built it for provenance, a dry run included
  process.exitCode = npm('publish', '--access', 'public', ...how) ? 0 : 1
}

function treeIsDirty(): string | undefined {
  const changes = git('status', '--porcelain')
  return changes === '' ? undefined : `the tree differs from its commit:\n${changes}`
}

function tagIsTaken(): string | undefined {
  const commit = git('tag', '--list', `v${version}`) === '' ? undefined : git('rev-list', '-n', '1', `v${version}`)
  return commit === undefined || commit === git('rev-parse', 'HEAD')
    ? undefined
    : `v${version} is the tag of another commit`
}

/** The part of CHANGELOG.md under `## <version> (<date>)`, with at least one line; nothing may wait under "Unreleased". */
function versionIsUntold(): string | undefined {
  const parts = readFileSync('CHANGELOG.md', 'utf8').split(/^## /m).slice(1)
  const told = parts.find((part) =>
    new RegExp(`^${version.replaceAll('.', '\\.')} \\(\\d{4}-\\d\\d-\\d\\d\\)\n`).test(part),
  )
  if (told === undefined) return `CHANGELOG.md has no part "## ${version} (<year>-<month>-<day>)"`
  if (!/^- /m.test(told)) return `CHANGELOG.md says nothing of ${version}`
  const waiting = parts.find((part) => part.startsWith('Unreleased'))
  return waiting !== undefined && /^- /m.test(waiting)
    ? 'CHANGELOG.md has lines that wait under "Unreleased"'
    : undefined
}

/** Provenance is signed for the identity of a CI run; a person's machine has none. */
function nobodyCanVouch(): string | undefined {
  const isKnown = ['ACTIONS_ID_TOKEN_REQUEST_URL', 'SIGSTORE_ID_TOKEN'].some(
    (variable) => process.env[variable] !== undefined,
  )
  return !isReal || isKnown ? undefined : 'provenance needs the identity token of a CI run (id-token: write)'
}

function aCheckFails(): string | undefined {
  const failing = ['test', 'package'].find((script) => !npm('run', '--silent', script))
  return failing === undefined ? undefined : `npm run ${failing} fails`
}

function npm(...args: readonly string[]): boolean {
  return spawnSync('npm', args, { stdio: 'inherit' }).status === 0
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { encoding: 'utf8' }).trim()
}
