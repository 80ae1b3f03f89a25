import { createHash, createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import { Sha256 } from '@aws-crypto/sha256-js'
import { HttpRequest } from '@smithy/protocol-http'
import { SignatureV4 } from '@smithy/signature-v4'
import aws4 from 'aws4'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { FieldLine } from '../../src/signing/message.ts'
import type { RequestPatch, SignableRequest } from '../../src/signing/signing.ts'
import { type SigV4Options, sigV4 } from '../../src/signing/sigv4.ts'
import type { AwsCredentials } from '../../src/signing/sigv4-credentials.ts'
import { bound, NOW, refusal, signable, streamed } from './signable.ts'

const accessKeyId = 'AKIDEXAMPLE'
const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const keys = { accessKeyId, secretAccessKey: { value: secretAccessKey } }
const url = 'https://service.eu-central-1.amazonaws.com/a%20b/c?x=1&y=%C3%A9'
const region = 'eu-central-1'
const HEADERS = ['authorization', 'x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256']

const signer = (options: Partial<SigV4Options> = {}) =>
  sigV4({ service: 'execute-api', region, credentials: keys, ...options })

describe('what is signed', () => {
  test('the field is the one that two other implementations make, for any path, query, field and body', async () => {
    const smithy = new SignatureV4({
      service: 'execute-api',
      region,
      credentials: { accessKeyId, secretAccessKey },
      sha256: Sha256,
      applyChecksum: false,
    })
    const { sign } = bound(signer())
    const segment = fc.stringMatching(/^[a-zA-Z0-9 ~_.!*'()@:$é-]{1,8}$/).filter((text) => !/^\.+$/.test(text))
    // Both lose a parameter of that name, for they copy them into an object that has a prototype.
    const queryName = fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => name !== '__proto__')
    const request = fc.record({
      segments: fc.array(segment, { maxLength: 3 }),
      query: fc.dictionary(queryName, fc.string({ unit: 'grapheme' })),
      value: fc.stringMatching(/^[!-~]{1,5}( {1,3}[!-~]{1,5}){0,2}$/),
      body: fc.option(fc.string(), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(request, async ({ segments, query, value, body }) => {
        const target = new URL(`https://api.example/${segments.map(encodeURIComponent).join('/')}`)
        const pairs = Object.entries(query)
        for (const [name, text] of pairs) target.searchParams.append(name, text)
        const fields: readonly FieldLine[] = [
          ['content-type', 'text/plain'],
          ['x-note', value],
        ]
        const given = { url: target.href, method: 'POST', fields, ...(body === undefined ? {} : { body }) }
        const { headers } = await sign(signable(given))

        const theirs = await smithy.sign(
          new HttpRequest({
            method: 'POST',
            hostname: 'api.example',
            path: target.pathname,
            query: query,
            headers: { host: 'api.example', ...Object.fromEntries(fields) },
            ...(body === undefined ? {} : { body }),
          }),
          { signingDate: new Date(NOW) },
        )
        expect(headers).toEqual({
          authorization: theirs.headers['authorization'],
          'x-amz-date': theirs.headers['x-amz-date'],
        })
        const path = target.pathname + target.search
        const other = aws4.sign(
          {
            ...{ service: 'execute-api', region, host: 'api.example', method: 'POST', path, body: body ?? '' },
            headers: { ...Object.fromEntries(fields), 'X-Amz-Date': headers?.['x-amz-date'] },
            extraHeadersToIgnore: { 'content-length': true },
          } as aws4.Request,
          { accessKeyId, secretAccessKey },
        )
        expect(headers?.['authorization']).toBe(other.headers?.['Authorization'])
      }),
      { numRuns: 200 },
    )
  })

  test('a parameter is signed whatever its name', async () => {
    const { sign } = bound(signer())
    const signed = async (query: string) =>
      (await sign(signable({ url: `https://api.example/${query}` }))).headers?.['authorization']
    const all = await Promise.all(['', '?__proto__=1', '?__proto__=2', '?constructor=1'].map(signed))
    expect(new Set(all).size).toBe(4)
  })

  test('S3 gets its path encoded once and as it is, and the hash of the payload said', async () => {
    const { sign } = bound(signer({ service: 's3' }))
    const key = 'https://bucket.s3.eu-central-1.amazonaws.com/a%20b//c/(1)+%7E'
    const { headers } = await sign(signable({ url: key, method: 'PUT', body: 'content' }))
    const payload = createHash('sha256').update('content').digest('hex')
    expect(headers).toMatchObject({ 'x-amz-content-sha256': payload, 'x-amz-date': '20260101T120000Z' })
    const canonical = [
      ...['PUT', '/a%20b//c/%281%29%2B~', '', 'host:bucket.s3.eu-central-1.amazonaws.com'],
      ...[`x-amz-content-sha256:${payload}`, 'x-amz-date:20260101T120000Z', ''],
      ...['host;x-amz-content-sha256;x-amz-date', payload],
    ].join('\n')
    expect(headers?.['authorization']).toContain(`Signature=${expectedSignature(canonical, 's3')}`)
  })

  test('what is of one connection, or changed on the way, is left out', async () => {
    const left = [
      ...['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'proxy-connection', 'expect'],
      ...['proxy-authorization', 'max-forwards', 'via', 'forwarded', 'x-forwarded-for', 'accept-encoding'],
      ...['user-agent', 'referer', 'from', 'priority', 'sec-fetch-mode'],
      ...['x-amzn-trace-id', 'traceparent', 'tracestate', 'baggage'],
    ]
    const own: readonly FieldLine[] = [
      ['content-type', 'text/plain'],
      ['accept', '*/*'],
    ]
    const { sign } = bound(signer())
    const bare = await sign(signable({ url, fields: own }))
    expect(bare.headers?.['authorization']).toContain('SignedHeaders=accept;content-type;host;x-amz-date,')
    for (const name of left)
      expect([name, await sign(signable({ url, fields: [...own, [name, 'x']] }))]).toEqual([name, bare])
  })

  test('what the signer writes itself is signed as it writes it, whatever the request had there', async () => {
    const { sign } = bound(signer({ service: 's3' }))
    const fields = HEADERS.map((name): FieldLine => [name, 'x'])
    expect(await sign(signable({ url, fields }))).toEqual(await sign(signable({ url })))
  })

  test.each([
    [true, 's3'],
    [true, 's3-outposts'],
    [true, 's3express'],
    [false, 's3tables'],
    [false, 's3expresses'],
    [false, 'logs-s3'],
  ])('is the hash of the payload said: %s for the service %s', async (isSaid, service) => {
    const { headers = {} } = await bound(signer({ service })).sign(signable({ url }))
    expect('x-amz-content-sha256' in headers).toBe(isSaid)
  })

  test('what is so by default may be said, for S3 and for the others', async () => {
    const request = signable({ url: 'https://service.internal/a%20b//c/../d', body: 'content' })
    const by = (options: Partial<SigV4Options>) => bound(signer(options)).sign(request)
    const said = { placement: 'header', payload: 'signed', signSessionToken: true } as const
    const ofS3 = { ...said, service: 's3', encodePath: 'once', normalizePath: false } as const
    const ofOthers = { ...said, encodePath: 'twice', normalizePath: true } as const
    expect(await by(ofS3)).toEqual(await by({ service: 's3' }))
    expect(await by(ofOthers)).toEqual(await by({}))
    expect(await by({ ...ofOthers, encodePath: 'once' })).not.toEqual(await by({}))
    expect(await by({ ...ofOthers, normalizePath: false })).not.toEqual(await by({}))
  })

  test('a request over http is signed by its host and its path as well', async () => {
    const { sign } = bound(signer({ service: 's3' }))
    const { headers } = await sign(signable({ url: 'http://minio.internal:9000/bucket/key?list-type=2' }))
    const payload = createHash('sha256').digest('hex')
    const canonical = [
      ...['GET', '/bucket/key', 'list-type=2', 'host:minio.internal:9000', `x-amz-content-sha256:${payload}`],
      ...['x-amz-date:20260101T120000Z', '', 'host;x-amz-content-sha256;x-amz-date', payload],
    ].join('\n')
    expect(headers?.['authorization']).toContain(`Signature=${expectedSignature(canonical, 's3')}`)
  })

  test('a session token is signed, or stands beside the signature where the service wants it so', async () => {
    const credentials = async (): Promise<AwsCredentials> => ({
      accessKeyId,
      secretAccessKey,
      sessionToken: 'token/1==',
    })
    const signed = await bound(signer({ credentials })).sign(signable({ url }))
    expect(signed.headers?.['x-amz-security-token']).toBe('token/1==')
    expect(signed.headers?.['authorization']).toContain('SignedHeaders=host;x-amz-date;x-amz-security-token,')
    const beside = await bound(signer({ credentials, signSessionToken: false })).sign(signable({ url }))
    expect(beside.headers?.['x-amz-security-token']).toBe('token/1==')
    expect(beside.headers?.['authorization']).toContain('SignedHeaders=host;x-amz-date,')
  })

  test('the query carries the signature, appended as it stands on the wire', async () => {
    const { sign } = bound(signer({ placement: 'query', expiresInSec: 60 }))
    const { headers, query = '' } = await sign(signable({ url, fields: [['content-type', 'text/plain']] }))
    expect(headers).toBeUndefined()
    const smithy = new SignatureV4({
      ...{ service: 'execute-api', region, credentials: { accessKeyId, secretAccessKey }, sha256: Sha256 },
    })
    const theirs = await smithy.presign(
      new HttpRequest({
        ...{ method: 'GET', hostname: new URL(url).host, path: '/a%20b/c', query: { x: '1', y: 'é' } },
        headers: { host: new URL(url).host, 'content-type': 'text/plain' },
      }),
      { signingDate: new Date(NOW), expiresIn: 60 },
    )
    const ours = new URL(`${url}&${query}`)
    expect(ours.href).toBe(`${url}&${query}`)
    expect(Object.fromEntries(ours.searchParams)).toEqual(theirs.query)
  })

  test('the host is the one that the request says, which a proxy may make another than that of the URL', async () => {
    const { sign } = bound(signer({ service: 's3' }))
    const fields: FieldLine[] = [['host', 'bucket.example']]
    const { headers } = await sign(signable({ url: 'https://edge.example/key', fields }))
    const payload = createHash('sha256').digest('hex')
    const canonical = [
      ...['GET', '/key', '', 'host:bucket.example', `x-amz-content-sha256:${payload}`],
      ...['x-amz-date:20260101T120000Z', '', 'host;x-amz-content-sha256;x-amz-date', payload],
    ].join('\n')
    expect(headers?.['authorization']).toContain(`Signature=${expectedSignature(canonical, 's3')}`)
  })

  test('a query that was empty is signed with the parameters alone, for S3 with the hash of the payload', async () => {
    const { sign } = bound(signer({ service: 's3', placement: 'query', payload: 'unsigned' }))
    const { query = '' } = await sign(signable({ url: 'https://bucket.example/key' }))
    const parameters = new URLSearchParams(query)
    const signature = parameters.get('X-Amz-Signature')
    parameters.delete('X-Amz-Signature')
    expect(Object.fromEntries(parameters)).toEqual({
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD',
      'X-Amz-Credential': `AKIDEXAMPLE/20260101/${region}/s3/aws4_request`,
      'X-Amz-Date': '20260101T120000Z',
      'X-Amz-Expires': '300',
      'X-Amz-SignedHeaders': 'host',
    })
    parameters.sort()
    const canonical = ['GET', '/key', `${parameters}`, 'host:bucket.example', '', 'host', 'UNSIGNED-PAYLOAD'].join('\n')
    expect(signature).toBe(expectedSignature(canonical, 's3'))
  })

  test('a session token in the query is signed, or stands beside the signature where the service wants it so', async () => {
    const sessionToken = 'token/1=='
    const credentials = async (): Promise<AwsCredentials> => ({ accessKeyId, secretAccessKey, sessionToken })
    const signed = async (options: Partial<SigV4Options>) => {
      const given = { placement: 'query', credentials, ...options } as const
      const { query = '' } = await bound(signer(given)).sign(signable({ url }))
      expect(query).toContain('&X-Amz-Security-Token=token%2F1%3D%3D&X-Amz-Signature=')
      return query.slice(-64)
    }
    const bare = await bound(signer({ placement: 'query' })).sign(signable({ url }))
    expect(bare.query).not.toContain('Token')
    expect(await signed({ signSessionToken: false })).toBe(bare.query?.slice(-64))
    expect(await signed({})).not.toBe(bare.query?.slice(-64))
  })

  test.each([
    [{}, { body: 'digest', headers: HEADERS }],
    [{ payload: 'unsigned' }, { body: 'ignored', headers: HEADERS }],
    [{ placement: 'query' }, { body: 'digest', headers: [] }],
  ] as const)(
    'with %j the signer says which header fields it sets and what it needs of a body',
    (options, expected) => {
      const { name, headers, body } = signer(options)
      expect({ name, headers, body }).toEqual({ name: 'sigV4', ...expected })
    },
  )

  test('the time is the one of the server, and the key of one day signs no other day', async () => {
    const eve = Date.UTC(2026, 0, 1, 23, 59, 59)
    const { sign, runtime } = bound(signer(), { now: eve })
    const before = await sign(signable({ url }))
    expect(before.headers?.['authorization']).toContain('/20260101/eu-central-1/execute-api/aws4_request')
    await runtime.advance(1_000)
    const after = await sign(signable({ url }))
    const fresh = await bound(signer(), { now: eve + 1_000 }).sign(signable({ url }))
    expect(after).toEqual(fresh)
    expect(after.headers?.['authorization']).toContain('/20260102/eu-central-1/execute-api/aws4_request')
    expect(await bound(signer(), { now: eve, offsetMs: 1_000 }).sign(signable({ url }))).toEqual(fresh)
  })

  test('a stream is signed by the digest that the caller gives', async () => {
    const digest = createHash('sha256').update('content').digest('base64')
    const fields: readonly FieldLine[] = [['content-digest', `sha-256=:${digest}:`]]
    const { sign } = bound(signer())
    const given = { url, method: 'PUT', fields, body: 'content' }
    expect(await sign(streamed(signable(given)))).toEqual(await sign(signable(given)))
    const twice: FieldLine[] = [
      ['content-digest', `sha-512=:${createHash('sha512').update('content').digest('base64')}:`],
      ['accept', '*/*'],
      ...fields,
    ]
    const ofTwo = { ...given, fields: twice }
    expect(await sign(streamed(signable(ofTwo)))).toEqual(await sign(signable(ofTwo)))
  })

  test('a request to an origin that is not allowed is left as it is', async () => {
    const { sign } = bound(signer({ allowedOrigins: ['https://service.eu-central-1.amazonaws.com'] }))
    expect(await sign(signable({ url: 'https://other.example/' }))).toEqual({})
    expect((await sign(signable({ url }))).headers).toHaveProperty('authorization')
  })
})

describe('what is refused', () => {
  test('an unsigned payload over http is ERR_SIGN_INSECURE (SIG-21)', async () => {
    const { sign } = bound(signer({ payload: 'unsigned' }))
    const given = { method: 'PUT', body: 'content' }
    const plain = signable({ ...given, url: 'http://service.internal/key' })
    expect(await refusal(() => sign(plain))).toMatchObject({
      name: 'SignError',
      code: 'ERR_SIGN_INSECURE',
      message: 'sigV4: expected https, where TLS protects a payload that is not signed',
    })
    const naming = signable({ ...given, url: 'http://service.internal/key?next=https://other.example' })
    expect(await refusal(() => sign(naming))).toMatchObject({ code: 'ERR_SIGN_INSECURE' })
    const { headers } = await sign(signable({ ...given, url }))
    expect(headers).toMatchObject({ 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' })
    expect((await bound(signer()).sign(plain)).headers).toHaveProperty('authorization')
  })

  test.each([[], [['content-digest', 'sha-512=:AAAA:']], [['content-digest', 'md5=:AAAA:']]] as FieldLine[][])(
    'a stream without its sha-256 is ERR_SIGN_BODY_UNHASHABLE: %j',
    async (...fields) => {
      const request = streamed(signable({ url, method: 'PUT', fields }))
      const code = 'ERR_SIGN_BODY_UNHASHABLE'
      const message = 'sigV4: expected a body in memory, or its sha-256 in Content-Digest; saw a stream without'
      expect(await refusal(() => bound(signer()).sign(request))).toMatchObject({ code, message, requestSent: 'no' })
    },
  )

  test('a field beyond ASCII is ERR_SIGN_VALUE_NOT_ASCII, and one that is not signed does not matter', async () => {
    const { sign } = bound(signer())
    const code = 'ERR_SIGN_VALUE_NOT_ASCII'
    const message = 'sigV4: expected one line of ASCII in the header field x-note'
    for (const value of ['é', 'a\r\nb', 'a\0'])
      expect(await refusal(() => sign(signable({ url, fields: [['x-note', value]] })))).toMatchObject({ code, message })
    expect((await sign(signable({ url, fields: [['user-agent', 'é']] }))).headers).toHaveProperty('authorization')
  })

  test('a query that is signed already is ERR_SIGN_COMPONENT_AMBIGUOUS', async () => {
    const { sign } = bound(signer({ placement: 'query' }))
    const code = 'ERR_SIGN_COMPONENT_AMBIGUOUS'
    const message = 'sigV4: expected no X-Amz parameter, the query has one already'
    for (const query of ['X-Amz-Signature=00', 'a=1&x-amz-expires=604800'])
      expect(await refusal(() => sign(signable({ url: `https://api.example/?${query}` })))).toMatchObject({
        code,
        message,
      })
    expect((await sign(signable({ url: 'https://api.example/?a=x-amz-date' }))).query).toContain('X-Amz-Signature=')
  })

  const name = 'expected a name as it stands in the scope of a signature, such as s3'
  const either = 'expected a function that answers credentials, or { accessKeyId, secretAccessKey }'
  test.each<[object, string]>([
    [{ service: 'a/b' }, `.service: ${name}`],
    [{ service: 'x'.repeat(65) }, `.service: ${name}`],
    [{ region: '' }, `.region: ${name}`],
    [{ credentials: 'keys' }, `.credentials: ${either}`],
    [{ credentials: { accessKeyId } }, '.credentials'],
    [{ credentials: { ...keys, sessionToken: 'x' } }, '.credentials'],
    [{ credentials: { ...keys, accessKeyId: 'a,b' } }, '.credentials'],
    [{ placement: 'body' }, '.placement: '],
    [{ payload: 'none' }, '.payload: '],
    [{ signSessionToken: 'yes' }, '.signSessionToken: '],
    [{ normalizePath: 'yes' }, '.normalizePath: '],
    [{ encodePath: 'never' }, '.encodePath: '],
    [{ placement: 'query', expiresInSec: 0 }, '.expiresInSec: '],
    [{ placement: 'query', expiresInSec: 604_801 }, '.expiresInSec: '],
    [
      { expiresInSec: 60 },
      '.expiresInSec: expected it with placement query alone, since a signature in the header expires when the server says',
    ],
    [{ sha: 1 }, ': '],
  ])('options that cannot be meant are ERR_CONFIG_INVALID: %j', (options, where) => {
    expect(() => signer(options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message: expect.stringContaining(`sigV4${where}`) }),
    )
  })

  test.each([1, 604_800])('a signature in the query may be good for %i seconds', async (expiresInSec) => {
    const { query } = await bound(signer({ placement: 'query', expiresInSec })).sign(signable({ url }))
    expect(query).toContain(`&X-Amz-Expires=${expiresInSec}&`)
  })
})

describe('credentials', () => {
  test('a callback is asked once by however many requests, and again shortly before its answer expires', async () => {
    const provider = scripted((count) => ({ expiration: new Date(NOW + count * 3_600_000) }))
    const { sign, runtime } = bound(signer({ credentials: provider.ask }))
    const many = await Promise.all(Array.from({ length: 20 }, () => sign(signable({ url }))))
    expect(new Set(many.map(keyIdOf))).toEqual(new Set(['AKID1']))
    await runtime.advance(3_500_000)
    expect(keyIdOf(await sign(signable({ url })))).toBe('AKID1')
    expect(provider.reasons).toEqual(['initial'])
    await runtime.advance(50_000) // within the last minute: renewed in the background
    expect(keyIdOf(await sign(signable({ url })))).toBe('AKID1')
    await runtime.advance(0)
    expect(keyIdOf(await sign(signable({ url })))).toBe('AKID2')
    expect(provider.reasons).toEqual(['initial', 'expiring'])
  })

  test('credentials that have expired sign nothing', async () => {
    const provider = scripted((count) => ({ expiration: new Date(NOW + count * 3_600_000) }))
    const { sign, runtime } = bound(signer({ credentials: provider.ask }))
    await sign(signable({ url }))
    await runtime.advance(3_600_000)
    expect(keyIdOf(await sign(signable({ url })))).toBe('AKID2')
  })

  test('a server that calls them expired has them read anew, and the request made again', async () => {
    const provider = scripted(() => ({}))
    const { sign, onResponse } = bound(signer({ credentials: provider.ask }))
    const request = signable({ url })
    expect(keyIdOf(await sign(request))).toBe('AKID1')
    const said = (type: string) => ({ status: 403, headers: new Headers({ 'x-amzn-errortype': type }) })
    expect(onResponse?.(said('AccessDeniedException'), request)).toBe('done')
    expect(onResponse?.(said('ExpiredTokenException'), request)).toBe('retry')
    expect(keyIdOf(await sign(request))).toBe('AKID2')
    expect(provider.reasons).toEqual(['initial', 'rejected'])
    const silent = { status: 403, headers: new Headers() }
    expect(onResponse?.(silent, request)).toBe('done')
    expect(onResponse?.({ ...said('ExpiredTokenException'), status: 500 }, request)).toBe('done')
  })

  test.each([
    ['retry', 'ExpiredToken'],
    ['retry', 'ExpiredTokenException:http://internal.amazon.com/coral/com.amazon.coral.service/'],
    ['retry', 'com.amazon.coral.service#InvalidSignatureException'],
    ['retry', 'com.amazon.coral.service#UnrecognizedClientException:http://internal.amazon.com/'],
    ['retry', 'InvalidClientTokenId'],
    ['done', 'NotExpiredToken'],
    ['done', 'AccessDeniedException:http://internal.amazon.com/#ExpiredToken'],
    ['done', 'com.amazon#AccessDenied#ExpiredToken'],
  ] as const)('the answer is %s where the error is %s', async (outcome, type) => {
    const { sign, onResponse } = bound(signer({ credentials: scripted(() => ({})).ask }))
    const request = signable({ url })
    await sign(request)
    const refused = { status: 400, headers: new Headers({ 'x-amzn-errortype': type }) }
    expect(onResponse?.(refused, request)).toBe(outcome)
  })

  test('a refusal stands where the credentials have ended and there are no others', async () => {
    const provider = scripted((count) => {
      if (count > 1) throw new Error('no metadata service')
      return { expiration: new Date(NOW + 60_000) }
    })
    const { sign, onResponse, runtime } = bound(signer({ credentials: provider.ask }))
    const request = signable({ url })
    await sign(request)
    await runtime.advance(60_000)
    expect(await refusal(() => sign(request))).toMatchObject({ code: 'ERR_KEY_SOURCE_UNAVAILABLE' })
    const refused = { status: 403, headers: new Headers({ 'x-amzn-errortype': 'ExpiredToken' }) }
    expect(onResponse?.(refused, request)).toBe('done')
  })

  test('of several requests that wait for new credentials one asks, and all of them sign with those', async () => {
    const provider = scripted((count) => ({ expiration: new Date(NOW + count * 3_600_000) }))
    const { sign, onResponse, runtime } = bound(signer({ credentials: provider.ask }))
    const request = signable({ url })
    await sign(request)
    const refused = { status: 401, headers: new Headers({ 'x-amzn-errortype': 'InvalidClientTokenId' }) }
    expect(onResponse?.(refused, request)).toBe('retry')
    const [one, two] = await Promise.all([sign(request), sign(request)])
    expect([keyIdOf(one), keyIdOf(two)]).toEqual(['AKID2', 'AKID2'])
    expect(provider.reasons).toEqual(['initial', 'rejected'])
    await runtime.advance(7_200_000)
    expect(keyIdOf(await sign(request))).toBe('AKID3') // they end like any others
  })

  test.each(['header', 'query'] as const)(
    'what others signed by now in the %s is signed again by those, which stay',
    async (placement) => {
      const provider = scripted(() => ({}))
      const { sign, onResponse, runtime } = bound(signer({ credentials: provider.ask, placement }))
      const request = signable({ url })
      const withPatch = ({ headers = {}, query = '' }: RequestPatch): SignableRequest => ({
        ...request,
        url: query === '' ? url : `${url}&${query}`,
        fields: [...request.fields, ...Object.entries(headers)],
      })
      const slow = withPatch(await sign(request))
      const quick = withPatch(await sign(request))
      const refused = { status: 403, headers: new Headers({ 'x-amzn-errortype': 'ExpiredToken' }) }
      expect(onResponse?.(refused, quick)).toBe('retry')
      const again = withPatch(await sign(request))
      expect(onResponse?.(refused, slow)).toBe('retry')
      expect(withPatch(await sign(request))).toEqual(again)
      expect(provider.reasons).toEqual(['initial', 'rejected'])
      await runtime.advance(60_000)
      expect(onResponse?.(refused, again)).toBe('retry') // refused itself
      await sign(request)
      expect(provider.reasons).toEqual(['initial', 'rejected', 'rejected'])
    },
  )

  test('where new ones cannot be had those before sign on: the server may think better of it', async () => {
    let asked = 0
    const credentials = async (): Promise<AwsCredentials> => {
      asked += 1
      if (asked > 1) throw new Error('no metadata service')
      return { accessKeyId, secretAccessKey }
    }
    const { sign, onResponse } = bound(signer({ credentials }))
    const request = signable({ url })
    const before = await sign(request)
    const refused = { status: 403, headers: new Headers({ 'x-amzn-errortype': 'ExpiredToken' }) }
    expect(onResponse?.(refused, request)).toBe('retry')
    expect(await sign(request)).toEqual(before)
    expect(asked).toBe(2)
  })

  test('a secret that was replaced signs the request again; one that is gone does not', async () => {
    onTestFinished(() => void vi.unstubAllEnvs())
    vi.stubEnv('PINFETCH_TEST_SECRET', secretAccessKey)
    const credentials = { accessKeyId, secretAccessKey: { env: 'PINFETCH_TEST_SECRET' } }
    const { sign, onResponse, runtime } = bound(signer({ credentials }))
    const request = signable({ url })
    await sign(request)
    const refused = { status: 403, headers: new Headers({ 'x-amzn-errortype': 'InvalidSignatureException' }) }
    vi.stubEnv('PINFETCH_TEST_SECRET', undefined)
    expect(onResponse?.(refused, request)).toBe('done')
    const next = `${secretAccessKey}-2`
    vi.stubEnv('PINFETCH_TEST_SECRET', next)
    await runtime.advance(1_000)
    expect(onResponse?.(refused, request)).toBe('retry')
    const fresh = { accessKeyId, secretAccessKey: { value: next } }
    expect(await sign(request)).toEqual(await bound(signer({ credentials: fresh }), { now: NOW + 1_000 }).sign(request))
  })

  test('a key that did not change is not tried twice', async () => {
    const { sign, onResponse } = bound(signer())
    const request = signable({ url })
    await sign(request)
    const headers = new Headers({ 'x-amzn-errortype': 'InvalidSignatureException' })
    expect(onResponse?.({ status: 403, headers }, request)).toBe('done')
  })

  test.each([
    ['no object', undefined, ': expected an object with accessKeyId and secretAccessKey'],
    ['no secret', { accessKeyId }, '.secretAccessKey: expected text'],
    [
      'a short secret',
      { accessKeyId, secretAccessKey: 'kd83short' },
      '.secretAccessKey: expected a secret of 16 bytes or more',
    ],
    [
      'a key id with a slash',
      { accessKeyId: 'kd83/x', secretAccessKey },
      '.accessKeyId: expected the id of an access key',
    ],
    [
      'a token with a line break',
      { accessKeyId, secretAccessKey, sessionToken: 'kd83\nx' },
      '.sessionToken: expected a token without spaces',
    ],
    ['an end that is no date', { accessKeyId, secretAccessKey, expiration: 'kd83' }, '.expiration: expected a date'],
    [
      'nothing that is right',
      { accessKeyId: '', secretAccessKey: 83 },
      '.accessKeyId: expected the id of an access key; sigV4 credentials.secretAccessKey: expected text',
    ],
    ['an end that is past', { accessKeyId, secretAccessKey, expiration: new Date(NOW - 1) }, ''],
  ])('%s from a callback is ERR_KEY_SOURCE_INVALID, and nothing of it is shown', async (_, answer, what) => {
    const { sign } = bound(signer({ credentials: async () => answer as AwsCredentials }))
    const error = await refusal(() => sign(signable({ url })))
    expect(error).toMatchObject({
      name: 'KeyError',
      code: 'ERR_KEY_SOURCE_INVALID',
      message: expect.stringContaining(`sigV4 credentials${what}`),
    })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/kd83|wJalr/)
  })

  test('a callback that fails is ERR_KEY_SOURCE_UNAVAILABLE, and a caller who gives up is not kept', async () => {
    const { sign } = bound(signer({ credentials: () => Promise.reject(new Error('no metadata service')) }))
    const code = 'ERR_KEY_SOURCE_UNAVAILABLE'
    expect(await refusal(() => sign(signable({ url })))).toMatchObject({ code })
    const hanging = bound(signer({ credentials: () => new Promise(() => undefined) }))
    const gone = AbortSignal.abort(new Error('gave up'))
    expect(await refusal(() => hanging.sign(signable({ url }), gone))).toMatchObject({ message: 'gave up' })
  })

  test('neither a signer nor its options show a secret', () => {
    expect(inspect(signer(), { depth: 9, showHidden: true })).not.toContain('wJalr')
    const shown = { name: 'sigV4', service: 'execute-api', region, credentials: '[redacted]' }
    expect(JSON.parse(JSON.stringify(signer()))).toEqual(shown)
  })
})

/** A provider that counts. */
function scripted(more: (count: number) => Partial<AwsCredentials>) {
  const reasons: string[] = []
  const ask = async ({ reason }: { readonly reason: string }): Promise<AwsCredentials> => {
    reasons.push(reason)
    return { accessKeyId: `AKID${reasons.length}`, secretAccessKey, ...more(reasons.length) }
  }
  return { ask, reasons }
}

const keyIdOf = ({ headers }: { readonly headers?: Readonly<Record<string, string>> }): string | undefined =>
  /Credential=([^/]+)/.exec(headers?.['authorization'] ?? '')?.[1]

function expectedSignature(canonical: string, service: string): string {
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
  const key = ['20260101', region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`)
  const hashed = createHash('sha256').update(canonical).digest('hex')
  const scope = `20260101/${region}/${service}/aws4_request`
  return hmac(key, `AWS4-HMAC-SHA256\n20260101T120000Z\n${scope}\n${hashed}`).toString('hex')
}
