import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestRuntime } from 'pinfetch/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { refusalOf } from '../support/client.ts'
import {
  type Asked,
  ask,
  DISCOVERED,
  HOST,
  protocolAt,
  type Scripted,
  type ServerStage,
  startStage,
  token,
} from './server-stage.ts'

const HOUR_MS = 3_600_000

/** Answers the token endpoint, and the metadata by the function; the issuer is known once the server listens. */
async function startIssuer(metadata: (issuer: string, asked: Asked) => Scripted, runtime = createTestRuntime()) {
  let issuer = ''
  const respond = (asked: Asked): Scripted => (asked.path.includes('well-known') ? metadata(issuer, asked) : token())
  const stage: ServerStage = await startStage(respond, { runtime })
  issuer = stage.issuer
  return { ...stage, runtime }
}

const metadataOf = (issuer: string, more: object = {}): Scripted => ({
  body: { issuer, token_endpoint: `${issuer}/discovered`, unknown_member: { of: 'a later version' }, ...more },
})

const paths = ({ asked }: ServerStage): readonly string[] => asked.map(({ path }) => path)

describe('discovery (RFC 8414)', () => {
  test('asks for the metadata once, and for OpenID Connect’s where there are none', async () => {
    const stage = await startIssuer((issuer, { path }) =>
      path.includes('oauth-authorization-server') ? { status: 404 } : metadataOf(issuer),
    )
    const protocol = protocolAt(stage, DISCOVERED)
    await Promise.all([ask(protocol), ask(protocol)])
    await ask(protocol)
    expect(paths(stage)).toEqual([
      '/.well-known/oauth-authorization-server',
      '/.well-known/openid-configuration',
      ...Array(3).fill('/discovered'),
    ])
    expect(stage.asked[0]?.headers.authorization).toBeUndefined()
  })

  test.each<[string, (issuer: string) => unknown]>([
    ['another one', () => 'https://evil.example.com'],
    ['with a slash more', (issuer) => `${issuer}/`],
    ['in capitals', (issuer) => issuer.replace('https', 'HTTPS')],
    ['none', () => undefined],
    ['no text', () => 7],
  ])('an issuer that is %s is ERR_AUTH_ISSUER_MISMATCH, and no secret is sent (TOK-44)', async (_, other) => {
    const stage = await startIssuer((issuer) => metadataOf(issuer, { issuer: other(issuer) }))
    await refusalOf(ask(protocolAt(stage, DISCOVERED)), 'ERR_AUTH_ISSUER_MISMATCH')
    expect(paths(stage)).toEqual(['/.well-known/oauth-authorization-server'])
  })

  test.each<[string, object]>([
    ['token_endpoint elsewhere', { token_endpoint: 'https://evil.example.com/token' }],
    ['token_endpoint at another port', { token_endpoint: `https://${HOST}:1/token` }],
    ['token_endpoint in the clear', { token_endpoint: `http://${HOST}/token` }],
    ['token_endpoint that is no URL', { token_endpoint: 7 }],
    ['revocation_endpoint elsewhere', { revocation_endpoint: 'https://evil.example.com/' }],
    ['alias elsewhere', { mtls_endpoint_aliases: { token_endpoint: 'https://evil.example.com/' } }],
    ['token_endpoint with a user name', { token_endpoint: 'https://user:@own/token' }],
    ['token_endpoint that is a blob of the own origin', { token_endpoint: 'blob:https://own/token' }],
  ])('a %s is ERR_AUTH_METADATA_ORIGIN, and no secret is sent (TOK-45)', async (_, more) => {
    const stage = await startIssuer((issuer) => {
      const own = JSON.stringify(more).replace('own', new URL(issuer).host)
      return metadataOf(issuer, JSON.parse(own))
    })
    await refusalOf(ask(protocolAt(stage, DISCOVERED)), 'ERR_AUTH_METADATA_ORIGIN')
    expect(paths(stage)).toHaveLength(1)
  })

  test('an endpoint at an origin that is allowed by name is used (TOK-45)', async () => {
    const elsewhere = await startStage(() => token())
    const stage = await startIssuer((issuer) => metadataOf(issuer, { token_endpoint: `${elsewhere.issuer}/t` }))
    await ask(protocolAt(stage, { ...DISCOVERED, allowedEndpointOrigins: [elsewhere.issuer] }))
    expect(paths(elsewhere)).toEqual(['/t'])
  })

  test.each<[string, Scripted]>([
    ['status 500', { status: 500 }],
    ['no JSON', { body: '<html>' }],
    ['a list', { body: '[]' }],
    ['a member twice', { body: '{"issuer":"a","issuer":"b"}' }],
    ['a redirect', { status: 302, headers: { location: '/x' } }],
    ['more than 1 MiB', { body: 'x'.repeat(1_100_000) }],
  ])('%s is ERR_AUTH_DISCOVERY_FAILED', async (_, answer) => {
    const stage = await startIssuer(() => answer)
    await refusalOf(ask(protocolAt(stage, DISCOVERED)), 'ERR_AUTH_DISCOVERY_FAILED')
    expect(paths(stage)).toHaveLength(1)
  })

  test('a page of another content type at that place is ERR_AUTH_DISCOVERY_FAILED, whatever it says', async () => {
    const stage = await startIssuer((issuer) => ({ ...metadataOf(issuer), headers: { 'content-type': 'text/plain' } }))
    await refusalOf(ask(protocolAt(stage, DISCOVERED)), 'ERR_AUTH_DISCOVERY_FAILED')
    const other = await startIssuer((issuer) => {
      return { ...metadataOf(issuer), headers: { 'content-type': 'Application/JSON; charset=utf-8' } }
    })
    await ask(protocolAt(other, DISCOVERED))
    expect(paths(other)).toContain('/discovered')
  })

  test('metadata without a token_endpoint are ERR_AUTH_DISCOVERY_FAILED', async () => {
    const stage = await startIssuer((issuer) => ({ body: { issuer } }))
    await refusalOf(ask(protocolAt(stage, DISCOVERED)), 'ERR_AUTH_DISCOVERY_FAILED')
  })
})

describe('while nobody answers (TOK-46)', () => {
  test('at the start it is ERR_AUTH_DISCOVERY_FAILED with the cause, and nothing was sent', async () => {
    const stage = await startIssuer((issuer) => metadataOf(issuer))
    await stage.peer.close()
    const error = await refusalOf(ask(protocolAt(stage, DISCOVERED)), 'ERR_AUTH_DISCOVERY_FAILED')
    expect(error).toMatchObject({ requestSent: 'no', cause: { code: 'ERR_AUTH_TOKEN_ENDPOINT_UNAVAILABLE' } })
  })

  test('metadata at hand serve until their age, asked for again once an hour, and not after it', async () => {
    let isUp = true
    const stage = await startIssuer((issuer) => (isUp ? metadataOf(issuer) : { status: 503 }))
    const protocol = protocolAt(stage, { ...DISCOVERED, discovery: { maxAgeMs: 3 * HOUR_MS } })
    await ask(protocol)
    isUp = false
    await stage.runtime.advance(2 * HOUR_MS)
    await ask(protocol)
    await ask(protocol)
    expect(paths(stage).filter((path) => path.includes('well-known'))).toHaveLength(2)
    expect(stage.events).toMatchObject([{ type: 'auth.notice', kind: 'metadata-kept' }])
    await stage.runtime.advance(2 * HOUR_MS)
    await refusalOf(ask(protocol), 'ERR_AUTH_DISCOVERY_FAILED')
    isUp = true
    await ask(protocol)
  })

  test('what a newer document says wrong is not followed; the one at hand stays', async () => {
    let more = {}
    const stage = await startIssuer((issuer) => metadataOf(issuer, more))
    const protocol = protocolAt(stage, DISCOVERED)
    await ask(protocol)
    more = { token_endpoint: 'https://evil.example.com/token' }
    await stage.runtime.advance(2 * HOUR_MS)
    await ask(protocol)
    expect(paths(stage).at(-1)).toBe('/discovered')
    expect(stage.events).toMatchObject([{ message: expect.stringContaining('ERR_AUTH_METADATA_ORIGIN') }])
  })

  test('those of the cache directory serve the next process, judged like any', async () => {
    const cacheDir = mkdtempSync(join(tmpdir(), 'metadata-'))
    onTestFinished(() => rmSync(cacheDir, { recursive: true, force: true }))
    let isUp = true
    const stage = await startIssuer((issuer) => (isUp ? metadataOf(issuer) : { status: 503 }))
    const options = { ...DISCOVERED, discovery: { cacheDir } }
    await ask(protocolAt(stage, options))
    await stage.runtime.advance(2 * HOUR_MS)
    await ask(protocolAt(stage, options))
    expect(readdirSync(cacheDir, { recursive: true }).filter((name) => /\d{15}$/.test(String(name)))).toHaveLength(1)
    isUp = false
    await ask(protocolAt(stage, options))
    await stage.runtime.advance(2 * HOUR_MS)
    await ask(protocolAt(stage, options))
    await stage.runtime.advance(24 * HOUR_MS)
    await refusalOf(ask(protocolAt(stage, options)), 'ERR_AUTH_DISCOVERY_FAILED')
  })
})
