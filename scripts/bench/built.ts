import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'tsup'

/**
 * The scenario and the sources it measures as the package is built: tsx compiles every function with a helper around it.
 *
 * @param external Packages that are measured beside it, as they are installed.
 */
export async function importBuilt<Module>(name: string, external: readonly string[] = []): Promise<Module> {
  const outDir = mkdtempSync(join(import.meta.dirname, '../../node_modules/.bench-')) // where its own imports are found
  const entry = { [name]: join(import.meta.dirname, `${name}.ts`) }
  const options = { entry, outDir, format: 'esm', target: 'node20.19', platform: 'node' } as const
  await build({
    ...options,
    external: [...external],
    config: false,
    silent: true,
    outExtension: () => ({ js: '.mjs' }),
  })
  const module = (await import(pathToFileURL(join(outDir, `${name}.mjs`)).href)) as Module
  rmSync(outDir, { recursive: true })
  return module
}
