import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { canonicalHost } from '../../src/encoding/host.ts'
import { ConfigurationError } from '../../src/errors/errors.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { createAnchors } from '../../src/trust/anchors.ts'
import { type IdentityOptions, matchIdentity, type ReferenceIdentity } from '../../src/trust/identity.ts'
import { findPath } from '../../src/trust/path/build.ts'
import { CLIENT_AUTH, type PathProfile, SERVER_AUTH } from '../../src/trust/path/path.ts'
import type { KeyUsage } from '../../src/x509/extensions.ts'
import { certificatesOfPem } from '../../src/x509/pem.ts'

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

/** One row of a path suite. */
export interface PathCase {
  readonly id: string
  readonly roots: readonly string[]
  readonly intermediates: readonly string[]
  readonly leaf: string
  /** ISO 8601. */
  readonly time: string
  readonly name: { readonly kind: 'dns' | 'ip' | 'rfc822'; readonly value: string } | null
  readonly eku: readonly string[]
  readonly keyUsage?: readonly KeyUsage[]
  readonly maxDepth?: number | null
  readonly policy?: {
    readonly initialPolicySet?: readonly string[]
    readonly explicitPolicy?: boolean
    readonly policyMappingInhibit?: boolean
    readonly inhibitAnyPolicy?: boolean
  } | null
  readonly expected: 'pass' | 'fail'
}

export interface PathOutcome {
  readonly result: 'pass' | 'fail'
  /** Code of the first finding. */
  readonly code?: string
  readonly ms: number
}

/** Puts one case to the product's own code. */
export function runPathCase(row: PathCase, profile: PathProfile, options: IdentityOptions = {}): PathOutcome {
  const start = performance.now()
  const code = refusalOf(row, profile, options)
  const ms = performance.now() - start
  return code === undefined ? { result: 'pass', ms } : { result: 'fail', code, ms }
}

function refusalOf(row: PathCase, profile: PathProfile, options: IdentityOptions): string | undefined {
  const presented = [row.leaf, ...row.intermediates].flatMap(certificatesOfPem)
  let anchors: ReturnType<typeof createAnchors>
  try {
    anchors = createAnchors(row.roots)
  } catch (error) {
    if (error instanceof ConfigurationError) return error.code
    throw error
  }
  const result = findPath({
    presented,
    anchors,
    now: toUnixMs(Date.parse(row.time)),
    profile,
    extendedKeyUsage: row.eku.map((purpose) => PURPOSES[purpose] ?? purpose),
    ...(row.keyUsage === undefined || row.keyUsage.length === 0 ? {} : { keyUsage: row.keyUsage }),
    ...(typeof row.maxDepth === 'number' ? { maxDepth: row.maxDepth } : {}),
    ...(row.policy?.initialPolicySet === undefined ? {} : { initialPolicySet: row.policy.initialPolicySet }),
    initialExplicitPolicy: row.policy?.explicitPolicy === true,
    initialPolicyMappingInhibit: row.policy?.policyMappingInhibit === true,
    initialAnyPolicyInhibit: row.policy?.inhibitAnyPolicy === true,
  })
  if (result.kind === 'invalid') return result.findings[0]?.code ?? 'no finding'
  const reference = referenceOf(row.name)
  if (reference === undefined) return undefined
  return matchIdentity(result.path.certificates[0], reference, options)?.code
}

function referenceOf(name: PathCase['name']): ReferenceIdentity | undefined {
  if (name === null || name.kind === 'rfc822') return undefined
  const host = canonicalHost(name.value) ?? name.value
  return name.kind === 'dns' ? { kind: 'dns', name: host } : { kind: 'ip', address: host }
}

const PURPOSES: Readonly<Record<string, string>> = { serverAuth: SERVER_AUTH, clientAuth: CLIENT_AUTH }
