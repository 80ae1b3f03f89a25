/**
 * `npm run --silent conformance -- SUITE [--profile default|cabf|rfc5280]`: puts cases to the product's own code.
 * JSON lines in, one JSON line out per case, in order; nothing else goes to standard output. A case that cannot be read is a
 * failed case, never a failed run. Exit code 0 when every line was answered, 2 for a wrong call.
 */
import { createInterface } from 'node:readline'
import { runComponentsCase } from './components.ts'
import { runManifestCase } from './manifest.ts'
import { runNamesCase } from './names.ts'
import { runPathCase } from './path.ts'
import { runRevocationCase } from './revocation.ts'
import { runSigningCase } from './signing.ts'
import { runSigV4Case } from './sigv4.ts'
import { type Answer, type CaseRunner, profileOf } from './suite.ts'
import { runTransparencyCase } from './transparency.ts'

const SUITES: Readonly<Record<string, CaseRunner>> = {
  path: runPathCase,
  names: runNamesCase,
  manifest: runManifestCase,
  revocation: runRevocationCase,
  ct: runTransparencyCase,
  signing: runSigningCase,
  components: runComponentsCase,
  sigv4: runSigV4Case,
}

const [suite = '', ...flags] = process.argv.slice(2)
const run = Object.hasOwn(SUITES, suite) ? SUITES[suite] : undefined
const profile = profileOf(flags)
if (run === undefined || profile === undefined) {
  process.stderr.write(`usage: conformance -- ${Object.keys(SUITES).join('|')} [--profile default|cabf|rfc5280]\n`)
  process.exit(2)
}
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === '') continue
  process.stdout.write(`${JSON.stringify(await answer(line, run))}\n`)
}

async function answer(line: string, runCase: CaseRunner): Promise<Answer & { readonly id: unknown }> {
  let id: unknown = null
  try {
    const input = JSON.parse(line) as { readonly id?: unknown }
    id = input.id ?? null
    return { id, ...(await runCase(input, profile ?? 'default')) }
  } catch (error) {
    process.stderr.write(`${JSON.stringify(id)}: ${error instanceof Error ? error.message : String(error)}\n`)
    return { id, result: 'fail' }
  }
}
