import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTlsServer, testCa } from 'pinfetch/testing'
import ts from 'typescript'
import { expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import { startBank } from '../examples/payment-lab.ts'
import { approval } from '../src/auth/index.ts'
import { type ClientOptions, createClient, fapi2, tokenBucket } from '../src/index.ts'
import { localSigner } from '../src/signing/index.ts'
import { until } from './support/client.ts'
import { startTestPins } from './support/pins.ts'

const root = join(import.meta.dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) => code)

test('every TypeScript block of the README type-checks against the package', () => {
  expect(blocks.length).toBeGreaterThan(0)
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const files = new Map(blocks.map((code, index) => [join(root, `readme-block-${index}.ts`), code]))
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  host.fileExists = (name) => files.has(name) || fileExists(name)
  host.getSourceFile = (name, languageVersion, ...rest) => {
    const code = files.get(name)
    return code === undefined
      ? getSourceFile(name, languageVersion, ...rest)
      : ts.createSourceFile(name, code, languageVersion)
  }
  const program = ts.createProgram([...files.keys()], options, host)
  // Of the blocks alone: what they import is checked by `npm run types`, and takes five times as long as they do.
  const found = [...files.keys()].flatMap((name) => {
    const block = program.getSourceFile(name)
    return block === undefined
      ? expect.fail(`${name} is no part of the program`)
      : ts.getPreEmitDiagnostics(program, block)
  })
  const problems = found.map(({ file, messageText }) => {
    return `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  })
  expect(problems).toEqual([])
}, 240_000)

test('the first sample of the README runs: its hosts are loopback servers, every other word is as printed', async () => {
  const ca = testCa()
  const api = await until(startTlsServer({ identity: ca.issue({ names: ['api.bank.com'] }) }))
  const pins = await startTestPins({
    ca,
    name: 'pins.example.com',
    hosts: { 'api.bank.com': [ca.issuer.pin, ca.root.pin] },
  })
  const [sample = ''] = blocks
  const runnable = sample
    .replace("import { createClient } from 'pinfetch'", '')
    .replace('https://pins.example.com/', `https://pins.example.com:${pins.server.port}/`)
    .replace('https://api.bank.com/', `https://api.bank.com:${api.port}/`)
    .replace("'./root.json'", 'root')
  const printed: unknown[] = []
  const console = { log: (line: unknown) => printed.push(line) }
  const local: typeof createClient = ({ manifest, ...options }) =>
    createClient({
      ...options,
      ...(manifest === undefined ? {} : { manifest: { ...manifest, memoryOnly: true } }),
      anchors: ca.anchorPem,
      resolver: async () => ['127.0.0.1'],
    })
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor
  await new AsyncFunction('createClient', 'root', 'console', runnable)(local, pins.repository.root, console)
  expect(printed).toEqual([200])
  expect(api.requests.map(({ path }) => path)).toEqual(['/v1/accounts'])
})

test('the test-kit sample of the README runs as printed', async () => {
  const sample = blocks.find((code) => code.includes('startTlsServer')) ?? ''
  const printed: unknown[] = []
  const console = { log: (line: unknown) => printed.push(line) }
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor
  const runnable = sample.replaceAll(/^import .*$/gm, '')
  await new AsyncFunction('createClient', 'startTlsServer', 'testCa', 'console', runnable)(
    createClient,
    startTlsServer,
    testCa,
    console,
  )
  expect(printed).toEqual([200])
})

test('the payment of the README runs as printed, against a bank on loopback that verifies all of it', async () => {
  const bank = await startBank()
  onTestFinished(() => bank.close())
  const hosts = { '*.bank.test': [bank.pin], 'pins.example.com': [bank.ca.root.pin] }
  const pins = await startTestPins({ ca: bank.ca, name: 'pins.example.com', hosts })
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-payment-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const { cert, key } = bank.certificate()
  const files = { 'tls.crt': cert, 'tls.key': key, 'client.pem': bank.keys.client, 'messages.pem': bank.keys.messages }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 })
  const runnable = (blocks.find((code) => code.includes('fapi2(')) ?? '')
    .replaceAll(/^import .*$/gm, '')
    .replaceAll(/^declare .*$/gm, '')
    .replaceAll('/run/tls', folder)
    .replaceAll('/run/keys', folder)
    .replaceAll('/var/lib/pins', join(folder, 'pins'))
    .replaceAll("'./root.json'", 'root')
    .replaceAll('https://pins.example.com/', pins.manifest.url)
    .replaceAll('https://login.bank.com', bank.issuer)
    .replaceAll('https://api.bank.com', bank.api)
  const code = ts.transpile(`${runnable}; await bankClient.close()`, { target: ts.ScriptTarget.ESNext })
  const printed: unknown[] = []
  const asked: string[] = []
  const given = {
    createClient: (options: ClientOptions) => createClient({ ...options, ...bank.trust, pins: {} }),
    fapi2,
    tokenBucket,
    approval,
    localSigner,
    z,
    readFileSync,
    root: pins.repository.root,
    console: { log: (line: unknown) => printed.push(line) },
    askOnTheirPhone: (question: string) => asked.push(question) > 0,
  }
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor
  await new AsyncFunction(...Object.keys(given), code)(...Object.values(given))
  expect(bank.refusals).toEqual([])
  expect([printed, asked.length, bank.payments.size]).toEqual([['accepted'], 1, 1])
}, 60_000)
