/**
 * The tables of README and SECURITY that are made from files and from runs of the lab: `npm run docs:tables` says which differ and exits
 * with 1, `npm run docs:tables -- --write` writes them; with `--files`, those alone that need no run. Tests compare the tables of files.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLab } from '../../src/testing/lab/lab.ts'
import type { LabReport } from '../../src/testing/lab/report.ts'
import { exampleRows } from './examples.ts'
import { attackRows, summaryRows, withoutCodes } from './lab.ts'
import { differingTables, type Tables, withTables } from './markers.ts'
import { nodeRows } from './nodes.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Tables by document. */
export type Documents = Readonly<Record<string, Tables>>

/** What is made from files alone. */
export function tablesOfFiles(): Documents {
  const examples = readdirSync(join(ROOT, 'examples')).map((name) => ({
    name,
    text: readFileSync(join(ROOT, 'examples', name), 'utf8'),
  }))
  const nodes = nodeRows(readFileSync(join(ROOT, '.ci/run'), 'utf8'))
  return { 'README.md': { nodes, examples: exampleRows(examples) } }
}

export function tablesOfLab(report: LabReport): Documents {
  return { 'README.md': { lab: summaryRows(report) }, 'SECURITY.md': { attacks: attackRows(report) } }
}

/** `README.md: nodes` */
export function differing(documents: Documents): readonly string[] {
  return Object.entries(documents).flatMap(([path, tables]) =>
    differingTables(readFileSync(join(ROOT, path), 'utf8'), tables, withoutCodes).map((name) => `${path}: ${name}`),
  )
}

function write(documents: Documents): void {
  for (const [path, tables] of Object.entries(documents)) {
    const file = join(ROOT, path)
    writeFileSync(file, withTables(readFileSync(file, 'utf8'), tables))
  }
}

async function runOfLab(): Promise<LabReport> {
  const lab = createLab()
  try {
    return await lab.run()
  } finally {
    await lab.close()
  }
}

if (process.argv[1] === import.meta.filename) {
  const all = process.argv.includes('--files') ? [tablesOfFiles()] : [tablesOfFiles(), tablesOfLab(await runOfLab())]
  const found = all.flatMap(differing)
  if (process.argv.includes('--write')) all.forEach(write)
  else if (found.length > 0) process.exitCode = 1
  process.stdout.write(found.length === 0 ? 'Every table is the one of now.\n' : `differing: ${found.join(', ')}\n`)
}
