/**
 * Prints the bill of materials, CycloneDX: what a user installs. `npm sbom --omit dev` leaves out whatever a development tool needs too,
 * so the whole bill is cut down to what the runtime dependencies reach.
 */
import { dependencies, ROOT, run } from './npm.ts'

export interface Bill {
  readonly metadata: { readonly component: { readonly 'bom-ref': string } }
  readonly components: readonly { readonly 'bom-ref': string; readonly name: string }[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

const whole: Bill = JSON.parse(run('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], ROOT))
const root = whole.metadata.component['bom-ref']
const neededBy = new Map(whole.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]))
const nameOf = new Map(whole.components.map((part) => [part['bom-ref'], part.name]))
const direct = (neededBy.get(root) ?? []).filter((ref) => Object.hasOwn(dependencies, nameOf.get(ref) ?? ''))
const kept = new Set(direct)
for (const ref of kept) for (const next of neededBy.get(ref) ?? []) kept.add(next)

const bill: Bill = {
  ...whole,
  components: whole.components.filter((part) => kept.has(part['bom-ref'])),
  dependencies: [{ ref: root, dependsOn: direct }, ...whole.dependencies.filter(({ ref }) => kept.has(ref))],
}
process.stdout.write(`${JSON.stringify(bill, null, 2)}\n`)
