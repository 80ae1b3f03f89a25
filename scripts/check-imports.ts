/**
 * The law of imports: a row may import the rows below it, never above; folders of one row do not import each other.
 * `npm run imports` walks every file under src/ and prints what breaks it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import ts from 'typescript'

/** Top row first. `index.ts` is the package's entry. */
const ROWS: readonly (readonly string[])[] = [
  ['index.ts', 'cli'],
  ['testing'],
  ['picture'],
  ['client'],
  ['auth', 'signing', 'limits', 'monitor', 'otel'],
  ['keys'],
  ['transport'],
  ['trust'],
  ['publisher'],
  ['manifest'],
  ['stores'],
  ['x509'],
  ['events'],
  ['dangerous'],
  ['ports', 'encoding'],
  ['errors'],
]

/** Below their row, but not for everyone. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  publisher: ['cli', 'testing'],
  'x509/generate.ts': ['cli', 'testing'],
  'x509/extension-writer.ts': ['cli', 'testing'],
  'x509/der-writer.ts': ['cli', 'testing'],
}

/** Which folders or files may import a package. A package that is not listed may be imported by nobody. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  undici: ['transport'],
  'tldts-icann': ['encoding/public-suffix.ts'],
  jose: ['manifest/verify.ts', 'publisher', 'auth', 'keys', 'stores', 'signing'],
  oauth4webapi: ['auth'],
  'structured-headers': ['signing', 'limits'],
  '@opentelemetry/api': ['otel'],
  commander: ['cli'],
  picocolors: ['cli'],
  zod: [
    'encoding/options.ts',
    'client',
    'manifest',
    'publisher',
    'cli',
    'auth',
    'keys',
    'signing',
    'limits',
    'monitor',
  ],
}

const SRC = resolve(import.meta.dirname, '../src')
const problems: string[] = []

for (const entry of readdirSync(SRC, { recursive: true, withFileTypes: true })) {
  if (entry.isFile() && entry.name.endsWith('.ts')) check(join(entry.parentPath, entry.name))
}
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.exitCode = problems.length === 0 ? 0 : 1

function check(file: string): void {
  const from = relative(SRC, file).split(sep).join('/')
  for (const { fileName } of ts.preProcessFile(readFileSync(file, 'utf8'), true, true).importedFiles) {
    if (fileName.startsWith('node:')) continue
    if (fileName.startsWith('.'))
      checkRow(
        from,
        relative(SRC, resolve(file, '..', fileName))
          .split(sep)
          .join('/'),
      )
    else checkPackage(from, fileName)
  }
}

function checkRow(from: string, to: string): void {
  const [fromRow, toRow] = [rowOf(from), rowOf(to)]
  const sameFolder = folderOf(from) === folderOf(to)
  if (!sameFolder && fromRow >= toRow) problems.push(`${from}: may not import ${to}, which is not below it`)
  for (const [room, allowed] of Object.entries(DOORS)) {
    if (isIn(to, room) && folderOf(from) !== folderOf(room) && !allowed.some((folder) => isIn(from, folder))) {
      problems.push(`${from}: ${room} is reached from ${allowed.join(' and ')} only`)
    }
  }
}

function checkPackage(from: string, specifier: string): void {
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  const allowed = PACKAGES[name]
  if (allowed === undefined) problems.push(`${from}: package ${name} is not in the import table`)
  else if (!allowed.some((place) => isIn(from, place)))
    problems.push(`${from}: ${name} is imported by ${allowed.join(', ')} only`)
}

function rowOf(path: string): number {
  const row = ROWS.findIndex((folders) => folders.includes(folderOf(path)))
  if (row < 0) throw new Error(`${path}: no row in the import table owns this folder`)
  return row
}

function folderOf(path: string): string {
  return path.split('/')[0] ?? path
}

function isIn(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}/`)
}
