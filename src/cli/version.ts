import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** By the package's own name, so that the sources and the bundle find the same file. */
export function versionOfPackage(): string {
  const path = createRequire(import.meta.url).resolve('pinfetch/package.json')
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string }
  return version
}
