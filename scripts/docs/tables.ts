/**
 * The tables of README that are made from files and from runs: `npm run docs:tables` says which differ and exits with 1,
 * `npm run docs:tables -- --write` writes them. Tests compare the same tables with README.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exampleRows } from './examples.ts'
import { differingTables, type Tables, withTables } from './markers.ts'
import { nodeRows } from './nodes.ts'

const ROOT = join(import.meta.dirname, '../..')
const README = join(ROOT, 'README.md')

/** What is made from files alone. */
export function tablesOfFiles(): Tables {
  const examples = readdirSync(join(ROOT, 'examples')).map((name) => ({
    name,
    text: readFileSync(join(ROOT, 'examples', name), 'utf8'),
  }))
  return {
    nodes: nodeRows(readFileSync(join(ROOT, '.ci/run'), 'utf8')),
    examples: exampleRows(examples),
  }
}

if (process.argv[1] === import.meta.filename) {
  const readme = readFileSync(README, 'utf8')
  const tables = tablesOfFiles()
  const differing = differingTables(readme, tables)
  if (process.argv.includes('--write')) writeFileSync(README, withTables(readme, tables))
  else if (differing.length > 0) process.exitCode = 1
  process.stdout.write(
    differing.length === 0 ? 'README has the tables of now.\n' : `differing: ${differing.join(', ')}\n`,
  )
}
