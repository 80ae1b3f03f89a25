/**
 * Which tests carry which part of README: each section has some, and what its prose names, codes, events and options, they name as well;
 * examples that it links to count, since they are run.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandPage } from '../../scripts/docs/commands.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Headings, in the order of README; paths below `test/`. */
const CARRIED: Readonly<Record<string, readonly string[]>> = {
  pinfetch: ['readme-first-screen', 'readme', 'integration/environment', 'transport/tls-policy'],
  'Pin an API': [
    'readme-commands',
    'cli/pin',
    'encoding/host-pattern',
    'client/policies',
    'integration/pinning',
    'client/options',
  ],
  'Get manifests to your fleet': [
    'readme-commands',
    'cli/manifest',
    'cli/manifest-ct',
    'cli/publish',
    'cli/verify',
    'cli/pin',
    'cli/inspect',
    'cli/doctor-grade',
    'cli/drill',
    'cli/monitor',
    'cli/watch',
    'cli/report',
    'cli/keys',
    'cli/program',
    'cli/process',
    'cli/walks',
    'integration/manifest',
    'integration/bootstrap',
    'manifest/lifecycle',
  ],
  Rotate: ['readme-commands', 'cli/rotate', 'transport/dispatcher'],
  'Kill a key': ['readme-commands', 'client/containment', 'manifest/emergency', 'integration/manifest'],
  'Add tokens': [
    'integration/auth',
    'client/authorize',
    'client/replayable',
    'client/auth-approval',
    'auth/token-manager',
  ],
  'What may be asked, and what may be answered': [
    'client/operations',
    'integration/operations',
    'fetch/header-injection',
  ],
  Sign: ['integration/signing', 'integration/verify', 'signing/http-signature'],
  'A payment': ['readme', 'integration/payment', 'client/interaction'],
  'Mutual TLS': ['integration/client-certificate-reload', 'client/client-certificate', 'integration/pinning'],
  Test: ['readme', 'testing/fake-client', 'testing/servers', 'testing/fault-server', 'faults/faults'],
  Monitor: ['integration/monitor'],
  'It watches itself': ['integration/monitor', 'monitor/baseline', 'monitor/anomalies', 'monitor/expiry'],
  'Tell your SIEM': [
    'integration/outlets',
    'monitor/outlets/delivery',
    'monitor/outlets/records',
    'monitor/outlets/collectors',
  ],
  'OpenTelemetry and diagnostics_channel': [
    'otel/otel',
    'otel/requests',
    'monitor/channels',
    'integration/opentelemetry',
  ],
  'Watch for certificates that you did not order': [
    'monitor/issuance/watch',
    'monitor/issuance/static-log',
    'monitor/issuance/sources',
    'cli/ct-watch',
  ],
  'When it refuses': ['errors/errors', 'readme-commands', 'fetch/response', 'integration/pinning'],
  Evidence: ['cli/evidence', 'monitor/evidence/collect', 'monitor/validation-log'],
  'Where the defaults do not fit': ['integration/dangerous'],
  Trust: [
    'transport/groups',
    'integration/dangerous',
    'client/legacy',
    'keys/secret-source',
    'client/interception',
    'client/config',
    'integration/pinning',
  ],
  Revocation: [
    'integration/revocation',
    'integration/responders',
    'client/revocation',
    'integration/ct',
    'client/transparency',
  ],
  'Time, limits and connections': [
    'faults/faults',
    'fetch/limits',
    'transport/session-resumption',
    'client/close',
    'fetch/difference',
  ],
  'Through a proxy': ['integration/proxy', 'client/proxy', 'transport/proxy'],
  'Where requests may go': [
    'fetch/redirect-origins',
    'integration/addresses',
    'client/egress',
    'client/network',
    'transport/resolvers',
    'transport/dot',
  ],
  'Everyone else’s client': ['clients/clients', 'integration/seams', 'transport/lent-sockets'],
  'Move here': ['readme-migration'],
  'From a checkServerIdentity recipe': ['readme-migration'],
  'From static pins': ['readme-migration'],
  'From a list like HPKP’s': ['readme-migration', 'client/policies', 'integration/outlets'],
  'What it runs on, and what it withstands': ['static/tables', 'cli/lab', 'readme-migration'],
  Examples: ['static/tables'],
  'How it decides': ['platform/peer-events', 'conformance/path', 'conformance/names', 'trust/revocation/crl-set'],
}

const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const sections = sectionsOf(README)

test('every section of README has tests that carry it, and no test is named that is not there', () => {
  expect(Object.keys(CARRIED)).toEqual(sections.map(({ title }) => title))
  const missing = Object.values(CARRIED).flatMap((names) => names.filter((name) => !existsSync(fileOf(name))))
  expect(missing).toEqual([])
})

test.each(sections)('“$title”: what it names, a test of it names', ({ title, prose }) => {
  expect(unnamed(prose, CARRIED[title] ?? [])).toEqual([])
})

test('every `npm run` of README is a script', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }
  const asked = [...README.matchAll(/npm (?:run )?((?!run|ci|install)[a-z:]+)/g)].map(([, name = '']) => name)
  expect(asked.length).toBeGreaterThan(4)
  expect(asked.filter((name) => !(name in scripts))).toEqual([])
})

test('README names every command, and the reference has every option of each with what it does', () => {
  const page = commandPage() // throws where one says nothing of itself
  const commands = [...page.matchAll(/^## pinfetch ([a-z-]+)/gm)].map(([, name = '']) => name)
  expect(new Set(commands).size).toBeGreaterThan(14)
  expect([...new Set(commands)].filter((name) => !README.includes(`pinfetch ${name}`))).toEqual([])
  expect(page).toContain('| `--timeline <file>` |')
})

test('control: a name that no test has is found, and the one beside it is not', () => {
  const prose = 'With `noSuchOption` comes `ERR_TRUST_PIN_MISMATCH`, told by `no.event`.'
  expect(unnamed(prose, ['integration/pinning'])).toEqual(['noSuchOption', 'no.event'])
})

interface Section {
  readonly title: string
  readonly prose: string
}

/** Without samples, which are compiled, and generated tables, which are compared. */
function sectionsOf(text: string): readonly Section[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/<!-- table[\s\S]*?<!-- end -->/g, '')
  return prose
    .split(/^#{1,3} /m)
    .slice(1)
    .map((part) => {
      const [title = '', ...lines] = part.split('\n')
      return { title, prose: lines.join('\n') }
    })
}

function unnamed(prose: string, names: readonly string[]): readonly string[] {
  const examples = [...prose.matchAll(/\]\((examples\/[^)]+\.ts)\)/g)].map(([, path = '']) => join(ROOT, path))
  const text = [...names.map(fileOf), ...examples].map((path) => readFileSync(path, 'utf8')).join('\n')
  const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span)
  const named = new Set(spans.flatMap((span) => span.match(NAME) ?? []))
  return [...named].filter((name) => !text.includes(name.replace(/^(?:client|error|monitor)\./, '')))
}

function fileOf(name: string): string {
  const path = join(ROOT, 'test', `${name}.test.ts`)
  return existsSync(path) ? path : join(ROOT, 'test', `${name}.ts`)
}

/** Codes, names of several words, and members: what a reader may type. File names are none. */
const NAME =
  /ERR_[A-Z0-9_]+(?<!_)|\b[a-z]+[A-Z]\w*|(?<![/.\w-])[a-z]+\.[a-z][A-Za-z]+\b(?!\/|\.(?:json|pem|ts|md))(?<!\.(?:json|pem|ts|md|com))/g
