import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'

/** Where third-party suites live: they are read, never copied into this repository. */
const ROOT = process.env['PINFETCH_VECTORS'] ?? resolve(import.meta.dirname, '../../../shared/vectors')

/**
 * Whether a folder of vectors is there. Without it a suite is skipped, and says so; in CI that is a failure, for a suite
 * that never runs protects nobody.
 */
export function hasVectors(folder: string): boolean {
  if (existsSync(resolve(ROOT, folder))) return true
  if (process.env['CI'] === 'true') throw new Error(`conformance vectors are missing: no ${folder} in PINFETCH_VECTORS`)
  process.stdout.write(`not run: no conformance vectors in ${folder}; set PINFETCH_VECTORS\n`)
  return false
}

/** The rows of a file of JSON lines. */
export function vectorLines<Row>(path: string): readonly Row[] {
  const lines = readFileSync(resolve(ROOT, path), 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Row)
}

export function vectorJson<Value>(path: string): Value {
  return JSON.parse(readFileSync(resolve(ROOT, path), 'utf8')) as Value
}
