import { generateKeyPairSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { localSigner } from 'pinfetch/signing'
import { startInterceptor, startTlsServer, testCa } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { canonicalJson } from '../../src/encoding/canonical-json.ts'
import { createEmitter } from '../../src/events/emitter.ts'
import { collectEvidence } from '../../src/monitor/evidence/collect.ts'
import { validationLog } from '../../src/monitor/validation-log.ts'
import { sha256 } from '../../src/monitor/validation-record.ts'
import { handshakeOf } from '../monitor/evidence/event.ts'
import { refusalOf, testClient, until } from '../support/client.ts'
import { cli, cliJson, workplace } from './support.ts'

const HOST = 'api.example.com'
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString()

/** A file of evidence of a real interception. */
async function kept() {
  const [genuine, rogue] = [testCa({ name: 'Genuine' }), testCa({ name: 'Rogue' })]
  const server = genuine.issue({ names: [HOST] })
  const target = await until(startTlsServer({ identity: server }))
  const { port } = await until(startInterceptor({ target, ca: rogue }))
  const client = testClient({ pins: { [HOST]: [server.pin] }, anchors: [genuine.anchorPem, rogue.anchorPem] })
  const texts: string[] = []
  const evidence = collectEvidence(client, {
    write: (_, text) => void texts.push(text),
    signer: localSigner(privateKey),
  })
  await refusalOf(client.fetch(`https://${HOST}:${port}/`), 'ERR_TRUST_PIN_MISMATCH')
  await evidence.close()
  const { file } = await workplace()
  const [text = ''] = texts
  return { server, rogue, text, file, path: await file('evidence.json', text), key: await file('key.pem', publicPem) }
}

test('evidence verify: digest, signature and verdict, offline', async () => {
  const { path, key } = await kept()
  expect(await cliJson(['evidence', 'verify', path, '--key', key])).toMatchObject({
    exitCode: 0,
    answer: {
      schema: 'pinfetch/evidence-verify/v1',
      data: {
        signature: 'verified',
        recorded: { outcome: 'refused', code: 'ERR_TRUST_PIN_MISMATCH' },
        again: { outcome: 'refused', code: 'ERR_TRUST_PIN_MISMATCH' },
        differences: [],
      },
      warnings: [],
    },
  })
  expect((await cliJson(['evidence', 'verify', path])).answer.warnings).toEqual([
    'signed, and the signature was not checked: give --key',
  ])
})

test('evidence verify: what was edited, and what another key signed, is refused', async () => {
  const { text, file, path } = await kept()
  const edited = await file('edited.json', text.replace('"outcome":"refused"', '"outcome":"accepted"'))
  expect(await cliJson(['evidence', 'verify', edited])).toMatchObject({
    exitCode: 1,
    answer: { error: { code: 'ERR_MONITOR_EVIDENCE_ALTERED' } },
  })
  const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString()
  expect(await cliJson(['evidence', 'verify', path, '--key', await file('other.pem', other)])).toMatchObject({
    exitCode: 1,
    answer: { error: { code: 'ERR_VERIFY_FAILED' } },
  })
  expect(await cliJson(['evidence', 'verify', path, '--key', path])).toMatchObject({ exitCode: 2 })
  expect(await cliJson(['evidence', 'verify', await file('no.json', '{}')])).toMatchObject({
    exitCode: 1,
    answer: { error: { code: 'ERR_MONITOR_EVIDENCE_MALFORMED' } },
  })
})

test('evidence verify: a verdict that does not come out again says what differs: ERR_MONITOR_EVIDENCE_DIFFERS', async () => {
  const { text, file, rogue } = await kept()
  const { evidence } = JSON.parse(text)
  evidence.judged.policy.pinGroups[0][0].spki = rogue.root.pin
  const forged = await file('forged.json', canonicalJson({ evidence, sha256: sha256(canonicalJson(evidence)) }))
  const { exitCode, stdout, stderr } = await cli(['evidence', 'verify', forged])
  expect(exitCode).toBe(1)
  expect(stderr).toContain('ERR_MONITOR_EVIDENCE_DIFFERS')
  expect(stdout).toContain('code: recorded ERR_TRUST_PIN_MISMATCH, judged again none')
})

test('evidence show: what was expected, what came, whose it is, and what to do', async () => {
  const { path, server } = await kept()
  const { exitCode, stdout } = await cli(['evidence', 'show', path])
  expect(exitCode).toBe(0)
  expect(stdout).toMatch(/^refused {2}api\.example\.com:\d+ {2}\d{4}-/)
  expect(stdout).toContain('ERR_TRUST_PIN_MISMATCH  no pinned key on the verified path')
  expect(stdout).toMatch(/expected {2}api\.example\.com {2}by code, mode enforce/)
  expect(stdout).toContain(server.pin)
  expect(stdout).toMatch(/issuer +CN=Rogue Intermediate/)
  expect(stdout).toMatch(/names +dns:api\.example\.com/)
  expect(stdout).toMatch(/address +127\.0\.0\.1/)
  expect(stdout).toMatch(/do +\S/)
  const { answer } = await cliJson(['evidence', 'show', path])
  expect(answer.data).toMatchObject({ evidence: { format: 'pinfetch-evidence/1', trigger: 'refused' } })
})

test('evidence show: what a peer wrote cannot steer a terminal', async () => {
  const { text, file } = await kept()
  const { evidence } = JSON.parse(text)
  const evil = '\u001b[2Jaccepted'
  evidence.handshake.host = evil
  evidence.path[0].subject = evil
  evidence.environment = [{ subject: evil, effect: evil }]
  const forged = await file('forged.json', canonicalJson({ evidence, sha256: sha256(canonicalJson(evidence)) }))
  const { stdout, stderr } = await cli(['evidence', 'show', forged])
  expect(stdout + stderr).not.toContain('\u001b')
})

test('evidence show: nor can the names in a certificate', async () => {
  const evil = '\u001b[2J\u202eaccepted'
  const rogue = testCa({ name: `Rogue ${evil}` })
  const identity = rogue.issue({ names: [HOST], subject: evil })
  const { port } = await until(startTlsServer({ identity }))
  const client = testClient({ pins: { [HOST]: [testCa().issue().pin] }, anchors: [rogue.anchorPem] })
  const { file } = await workplace()
  const texts: string[] = []
  const evidence = collectEvidence(client, { write: (_, text) => void texts.push(text) })
  await refusalOf(client.fetch(`https://${HOST}:${port}/`), 'ERR_TRUST_PIN_MISMATCH')
  await evidence.close()
  const { stdout, stderr } = await cli(['evidence', 'show', await file('evidence.json', texts[0] ?? '')])
  expect(stdout).toMatch(/issuer +CN=Rogue .*accepted Intermediate/)
  expect(stdout + stderr).not.toContain('\u001b')
  expect(stdout + stderr).not.toContain('\u202e')
})

test('evidence: no text of a foreign bundle steers a terminal', async () => {
  const { text, file } = await kept()
  const { evidence } = JSON.parse(text)
  const evil = '\u001b[2J\u202eaccepted'
  Object.assign(evidence.handshake, { host: evil, code: evil })
  Object.assign(evidence.handshake.policy, { source: evil, mode: evil })
  Object.assign(evidence.path[0], { spki: evil, subject: evil })
  evidence.judged.paths = [{ certificates: [] }, { code: evil, certificates: [{ ...evidence.path[0] }] }]
  evidence.judged.verdict.code = evil
  evidence.versions.pinfetch = evil
  const forged = await file('foreign.json', canonicalJson({ evidence, sha256: sha256(canonicalJson(evidence)) }))
  for (const command of ['show', 'verify']) {
    const { stdout, stderr } = await cli(['evidence', command, forged])
    expect(stdout + stderr).not.toContain('\u001b')
    expect(stdout + stderr).not.toContain('\u202e')
    expect(stdout).toContain('\\u{1b}[2J\\u{202e}accepted')
  }
})

test('evidence verify-log: a chain that holds, and one that does not: ERR_MONITOR_VALIDATION_LOG_ALTERED', async () => {
  const { path, file } = await workplace()
  const { on, emit } = createEmitter()
  const log = validationLog({ on }, { file: path('tls.jsonl') })
  for (let index = 0; index < 3; index += 1) emit(handshakeOf({ host: `h${index}.example.com` }))
  await log.close()
  const ask = (...more: readonly string[]) => cliJson(['evidence', 'verify-log', ...more])
  expect(await ask(path('tls.jsonl'), '--head', log.head ?? '')).toMatchObject({
    exitCode: 0,
    answer: { data: { lines: 4, handshakes: 3, head: log.head, flaws: [] }, warnings: [] },
  })
  const text = await readFile(path('tls.jsonl'), 'utf8')
  const edited = await file('edited.jsonl', text.replace('h1.example.com', 'h9.example.com'))
  expect(await ask(edited)).toMatchObject({
    exitCode: 1,
    answer: {
      data: { flaws: [{ kind: 'edited', line: 3 }] },
      error: { code: 'ERR_MONITOR_VALIDATION_LOG_ALTERED', message: expect.stringContaining('line 3') },
    },
  })
  const cut = await file('cut.jsonl', `${text.trimEnd().split('\n').slice(0, -1).join('\n')}\n`)
  expect(await ask(cut)).toMatchObject({ exitCode: 0, answer: { warnings: [expect.stringContaining('--head')] } })
  expect(await ask(cut, '--head', log.head ?? '')).toMatchObject({
    exitCode: 1,
    answer: { error: { code: 'ERR_MONITOR_VALIDATION_LOG_ALTERED' } },
  })
  expect(await ask(edited, '--head', 'abc')).toMatchObject({ exitCode: 2 })
  expect(await ask(await file('empty.jsonl', ''))).toMatchObject({ exitCode: 2 })
  expect(await ask(path('missing.jsonl'))).toMatchObject({ exitCode: 3, answer: { error: { code: 'ERR_STORE_READ' } } })
})
