import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client, ErrorCode } from 'pinfetch'
import { collectEvidence, toHttp, verifyEvidence, violationReports, webhook } from 'pinfetch/monitor'
import { startTlsServer, testCa } from 'pinfetch/testing'
import { expect, onTestFinished, vi } from 'vitest'
import type { HandshakeEvent } from '../../src/events/handshake.ts'
import { cli } from '../cli/support.ts'
import { ecsProblems, ocsfProblems } from '../monitor/outlets/golden.ts'
import { refusalOf, testClient, until } from './client.ts'

const COLLECTOR = 'siem.example.com'
const ca = testCa({ name: 'Collectors' })
const identity = ca.issue({ names: [COLLECTOR] })
const PATIENCE = { timeout: 20_000, interval: 20 }

/**
 * Puts every outlet around a client, lets it be attacked once, and expects of each that it says so exactly once, with one code:
 * the event, the handshake, the detection and the blocked connection of OCSF and of ECS, the reports, the message, and a file of
 * evidence from which the command line comes to the same verdict, offline.
 */
export async function expectOneOfEach(
  client: Client,
  host: string,
  violate: () => Promise<unknown>,
  code: ErrorCode,
): Promise<void> {
  const collector = await until(startTlsServer({ identity }))
  const own = testClient({ pins: { [COLLECTOR]: [identity.pin] }, anchors: [ca.anchorPem] })
  const dir = mkdtempSync(join(tmpdir(), 'pinfetch-evidence-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const to = (path: string) => ({ url: `https://${COLLECTOR}:${collector.port}/${path}`, fetch: own.fetch })
  const evidence = collectEvidence(client, { dir })
  const outlets = [
    toHttp(client, { ...to('ocsf'), name: 'ocsf' }),
    toHttp(client, { ...to('ecs'), format: 'ecs', name: 'ecs' }),
    violationReports(client, to('pins')),
    violationReports(client, { ...to('network'), format: 'network-error', name: 'network' }),
    webhook(client, { ...to('hook'), secret: { value: `whsec_${randomBytes(32).toString('base64')}` } }),
  ]
  const handshakes: HandshakeEvent[] = []
  const rejected: ErrorCode[] = []
  client.on('tls.handshake', (event) => void handshakes.push(event))
  client.on('tls.rejected', (event) => void rejected.push(event.code))

  await refusalOf(violate(), code)
  expect(rejected).toEqual([code]) // before the caller had the error
  expect(handshakes).toMatchObject([{ host, outcome: 'refused', code }])

  const arrived = (path: string): readonly Json[] =>
    collector.requests
      .filter((request) => request.path === `/${path}`)
      .flatMap(({ body }) => Buffer.from(body).toString().trimEnd().split('\n'))
      .map((line) => JSON.parse(line) as Json)
  const isPinViolation = code === 'ERR_TRUST_PIN_MISMATCH' // of others there is no report of RFC 7469
  const paths = ['ocsf', 'ecs', 'network', 'hook', ...(isPinViolation ? ['pins'] : [])]
  await vi.waitUntil(() => paths.every((path) => arrived(path).length > 0), PATIENCE)
  await Promise.all([...outlets, evidence].map((one) => one.close())) // what waits is sent

  const ocsf = arrived('ocsf')
  expect(ocsf.flatMap(ocsfProblems)).toEqual([])
  expect(ocsf.filter(({ class_uid }) => class_uid === 2004)).toMatchObject([
    { activity_name: 'Create', disposition: 'Blocked', finding_info: { analytic: { uid: code } } },
  ])
  expect(ocsf.filter(({ class_uid }) => class_uid === 4001)).toMatchObject([
    { activity_name: 'Fail', disposition: 'Blocked', status_code: code },
  ])
  const ecs = arrived('ecs')
  expect(ecs.flatMap(ecsProblems)).toEqual([])
  expect(ecs.filter(({ rule }) => rule !== undefined)).toMatchObject([{ rule: { name: code } }])
  expect(arrived('pins')).toMatchObject(isPinViolation ? [{ hostname: host.replace(/:\d+$/, '') }] : [])
  expect(arrived('network').flat()).toMatchObject([{ type: 'network-error', url: `https://${host}/` }])
  expect(arrived('hook')).toMatchObject([{ type: 'tls.rejected', data: { code, host } }])

  const files = readdirSync(dir)
  expect(files).toHaveLength(1)
  const path = join(dir, files[0] ?? '')
  const verified = verifyEvidence(await readFile(path))
  expect(verified).toMatchObject({ differences: [], again: { code }, evidence: { handshake: { host, code } } })
  const { exitCode, stdout } = await cli(['evidence', 'verify', path])
  expect({ exitCode, stdout }).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(code) })
}

type Json = Readonly<Record<string, unknown>>
