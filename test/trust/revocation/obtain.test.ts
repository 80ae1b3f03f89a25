import { createTestRuntime, crl, extension, ocspResponse, type TestCrlOptions, testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { StoreError } from '../../../src/errors/errors.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import type { Store } from '../../../src/stores/store.ts'
import { EvidenceError } from '../../../src/trust/revocation/evidence.ts'
import { fetchStatement, keyOf, loadStatement, type Subject } from '../../../src/trust/revocation/obtain.ts'
import { parseCertificate } from '../../../src/x509/certificate.ts'
import { encodeOcspRequest } from '../../../src/x509/ocsp-request.ts'

const NOW = Date.UTC(2030, 0, 1)
const [HOUR, DAY] = [3_600_000, 86_400_000]
const ca = testCa({ now: NOW })
const certificate = parseCertificate(ca.issue({ names: ['api.example.com'] }).der)
const issuer = parseCertificate(ca.issuer.der)
const testCertificate = ca.issue({ names: ['api.example.com'], serial: certificate.serialNumber })
const theList: Subject = { kind: 'crl', url: 'http://crl.example.com/1', certificate, issuer }
const theResponse: Subject = { kind: 'ocsp', url: 'http://ocsp.example.com/', certificate, issuer }
const folder = `revocation/${keyOf(theList).slice(0, 32)}/`

const list = (more: Partial<TestCrlOptions> = {}): Uint8Array => crl({ issuer: ca.issuer, now: NOW, ...more })

function options(disk: Store, answer: Uint8Array = list()) {
  const requests: unknown[] = []
  return {
    store: disk,
    runtime: createTestRuntime({ now: NOW }),
    maxBytes: 1_000_000,
    timeoutMs: 5_000,
    requests,
    fetch: async function* (request: unknown) {
      requests.push(request)
      const piece = new Uint8Array(7) // one buffer for every piece, as sockets may have it
      for (let at = 0; at < answer.length; at += piece.length) {
        const octets = answer.subarray(at, at + piece.length)
        piece.set(octets)
        yield piece.subarray(0, octets.length)
      }
    },
  }
}

/** What is on the disk, by the ends of the names. */
async function filesOf(disk: Store): Promise<readonly string[]> {
  return (await disk.list(folder)).map((name) => name.slice(folder.length))
}

const nameOf = (thisUpdate: number): string => `${folder}${String(thisUpdate).padStart(16, '0')}`

describe('a statement that was fetched', () => {
  test('of a list is its index, and as long as its pieces are together', async () => {
    const answer = list()
    const asked = options(memoryStore(), answer)
    expect(await fetchStatement(theList, asked)).toMatchObject({
      thisUpdate: NOW - HOUR,
      validUntil: NOW + 7 * DAY,
      bytes: answer.length,
      crl: { entries: 0 },
    })
    expect(asked.requests).toEqual([{ url: theList.url, maxBytes: 1_000_000, timeoutMs: 5_000 }])
  })

  test('of a responder is its response, to a request about the certificate', async () => {
    const answer = ocspResponse({ certificate: testCertificate })
    const asked = options(memoryStore(), answer)
    expect(await fetchStatement(theResponse, asked)).toEqual({
      ocspResponse: answer,
      thisUpdate: NOW - HOUR,
      validUntil: NOW + 3 * DAY,
      bytes: answer.length,
    })
    const ocspRequest = encodeOcspRequest(certificate, issuer)
    expect(asked.requests).toEqual([{ url: theResponse.url, maxBytes: 1_000_000, timeoutMs: 5_000, ocspRequest }])
  })

  test('is kept in place of older ones, and of nothing that is newer', async () => {
    const disk = memoryStore()
    for (const thisUpdate of [NOW - 2 * DAY, NOW - DAY, NOW]) await disk.put(nameOf(thisUpdate), Uint8Array.of(0))
    await fetchStatement(theList, options(disk, list({ thisUpdate: NOW - HOUR })))
    expect((await filesOf(disk)).map(Number).sort()).toEqual([NOW - HOUR, NOW])
  })

  test('is kept in no store that ends with the process', async () => {
    const disk = memoryStore()
    await fetchStatement(theList, options({ ...disk, volatile: true }))
    expect(await filesOf(disk)).toEqual([])
    await fetchStatement(theList, options({ ...disk, volatile: false }))
    expect(await filesOf(disk)).toHaveLength(1)
  })

  test('counts although the disk is full; another fault of the store is none of the disk’s', async () => {
    const failing = (error: Error): Store => ({
      ...memoryStore(),
      put: async () => {
        throw error
      },
    })
    const full = new StoreError('ERR_STORE_WRITE', 'no space left')
    expect(await fetchStatement(theList, options(failing(full)))).toMatchObject({ thisUpdate: NOW - HOUR })
    const fault = new TypeError('a fault')
    await expect(fetchStatement(theList, options(failing(fault)))).rejects.toBe(fault)
  })
})

describe('a statement of an earlier process', () => {
  test('is the newest that can still be used; what cannot is deleted', async () => {
    const [older, newer] = [list({ thisUpdate: NOW - 2 * DAY }), list({ thisUpdate: NOW - DAY })]
    const unusable = list({ thisUpdate: NOW - HOUR, signature: 'garbage' })
    const files = [
      [NOW - DAY, newer],
      [NOW - HOUR, unusable],
      [NOW - 2 * DAY, older],
    ] as const
    for (const order of [files, [...files].reverse()]) {
      const disk = memoryStore()
      for (const [thisUpdate, bytes] of order) await disk.put(nameOf(thisUpdate), bytes)
      expect(await loadStatement(theList, options(disk))).toMatchObject({ thisUpdate: NOW - DAY })
      expect((await filesOf(disk)).map(Number).sort()).toEqual([NOW - 2 * DAY, NOW - DAY])
    }
  })

  test('is none where there is no file, or another process has just deleted it', async () => {
    expect(await loadStatement(theList, options(memoryStore()))).toBeUndefined()
    const disk = memoryStore()
    await disk.put(nameOf(NOW - HOUR), list())
    await disk.put(nameOf(NOW - DAY), list({ thisUpdate: NOW - DAY }))
    const racing: Store = {
      ...disk,
      get: async (name) => (name === nameOf(NOW - HOUR) ? undefined : disk.get(name)),
    }
    expect(await loadStatement(theList, options(racing))).toMatchObject({ thisUpdate: NOW - DAY })
    expect(await filesOf(disk)).toHaveLength(2)
  })

  test('is deleted for what is wrong with it, not for what is wrong with the disk', async () => {
    const disk = memoryStore()
    await disk.put(nameOf(NOW - HOUR), list())
    const failure = new StoreError('ERR_STORE_READ', 'an error of the disk')
    const broken: Store = {
      ...disk,
      get: async () => {
        throw failure
      },
    }
    await expect(loadStatement(theList, options(broken))).rejects.toBe(failure)
    expect(await filesOf(disk)).toHaveLength(1)
  })

  test('may be longer than one piece', async () => {
    const disk = memoryStore()
    const revoked = Array.from({ length: 5_000 }, (_, at) => Uint8Array.of(1, at >> 8, at & 0xff))
    const long = list({ revoked })
    expect(long.length).toBeGreaterThan(65_536)
    await disk.put(nameOf(NOW - HOUR), long)
    expect(await loadStatement(theList, options(disk))).toMatchObject({ bytes: long.length })
  })

  test('that a responder made is verified again', async () => {
    const disk = memoryStore()
    const answer = ocspResponse({ certificate: testCertificate, status: 'revoked', reason: 1 })
    await fetchStatement(theResponse, options(disk, answer))
    expect(await loadStatement(theResponse, options(disk))).toMatchObject({
      ocspResponse: answer,
      revoked: { revokedAt: NOW - 2 * HOUR, reason: 1 },
    })
    const late = { ...options(disk), runtime: createTestRuntime({ now: NOW + 30 * DAY }) }
    expect(await loadStatement(theResponse, late)).toBeUndefined()
  })
})

describe('what a certificate has no use for is refused', () => {
  test.each<[string, Subject, Uint8Array, string, string]>([
    [
      'a response about another certificate',
      theResponse,
      ocspResponse({ certificate: ca.issue() }),
      'ERR_TRUST_OCSP_CERT_MISMATCH',
      'the response is about other certificates',
    ],
    [
      'the list of another distribution point',
      theList,
      list({ uri: 'http://crl.example.com/2' }),
      'ERR_TRUST_CRL_SCOPE',
      'the list is of another distribution point than the certificate’s',
    ],
    [
      'a list that has ended',
      theList,
      list({ thisUpdate: NOW - DAY, nextUpdate: NOW - HOUR }),
      'ERR_TRUST_CRL_EXPIRED',
      'valid until 2029-12-31T23:00:00.000Z',
    ],
  ])('%s', async (_, subject, answer, code, message) => {
    const disk = memoryStore()
    const refusal = await fetchStatement(subject, options(disk, answer)).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(EvidenceError)
    expect(refusal).toMatchObject({ code, message })
    expect(await filesOf(disk)).toEqual([])
  })

  test('by the age of what is said about a CA: an offline root signs a few lists a year', async () => {
    const old = crl({ issuer: ca.root, now: NOW, thisUpdate: NOW - 100 * DAY, nextUpdate: NOW + 100 * DAY })
    const of = (about: Uint8Array): Subject => ({
      ...theList,
      certificate: parseCertificate(about),
      issuer: parseCertificate(ca.root.der),
    })
    expect(await fetchStatement(of(ca.issuer.der), options(memoryStore(), old))).toMatchObject({
      validUntil: NOW + 100 * DAY,
    })
    const endEntity = ca.root.issue({ names: ['api.example.com'] }).der
    await expect(fetchStatement(of(endEntity), options(memoryStore(), old))).rejects.toMatchObject({
      code: 'ERR_TRUST_CRL_TOO_OLD',
    })
  })
})

describe('a statement is known', () => {
  const other = parseCertificate(ca.issue({ extensions: [extension.mustStaple()] }).der)
  const namesake = parseCertificate(testCa({ now: NOW }).issuer.der)

  test('of a list by its place and its issuer, whichever certificate names it', () => {
    expect(keyOf({ ...theList, certificate: other })).toBe(keyOf(theList))
    const others = [{ ...theList, url: 'http://crl.example.com/2' }, { ...theList, issuer: namesake }, theResponse]
    expect(new Set([theList, ...others].map(keyOf)).size).toBe(4)
    expect(keyOf(theList)).toMatch(/^[0-9a-f]{64}$/) // names a folder
  })

  test('of a responder by the certificate, too', () => {
    expect(keyOf({ ...theResponse, certificate: other })).not.toBe(keyOf(theResponse))
    expect(keyOf({ ...theResponse, url: theList.url })).not.toBe(keyOf(theList))
  })
})
