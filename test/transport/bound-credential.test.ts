import { createHash } from 'node:crypto'
import { createTestRuntime, testCa } from 'pinfetch/testing'
import { describe, expect, test, vi } from 'vitest'
import { toUnixMs } from '../../src/ports/runtime.ts'
import { identityOf } from '../support/identity.ts'
import { next, type Setting, start } from './http2-stage.ts'

const clients = testCa({ name: 'Clients', intermediates: 0 })
const issue = () => identityOf(clients.issue({ subject: 'client', extendedKeyUsage: ['clientAuth'] }))
const [own, former] = [issue(), issue()]

const thumbprint = (der: Uint8Array = new Uint8Array()): string => createHash('sha256').update(der).digest('base64url')

const ROADS = [
  ['HTTP/1.1', { http2: 'never', alpn: ['http/1.1'] }],
  ['HTTP/2', { http2: 'require' }],
] as const

test.each(ROADS)(
  'a certificate that is replaced during the handshake: the next connection carries the request, over %s',
  async (_, road) => {
    let inForce = former
    const { send, peer, dispatcher } = await start({ ...road, requestCert: true, certificate: () => inForce })
    const answer = send()
    inForce = own
    dispatcher.certificateChanged()
    expect((await answer).status).toBe(200)
    expect(thumbprint(peer.connections.at(-1)?.clientCertificates[0])).toBe(own.thumbprint)
  },
)

describe.each(['HTTP/1.1', 'HTTP/2'] as const)(
  'what is on its way when a certificate is replaced, over %s',
  (version) => {
    test('ends before the old certificate does: ERR_TRANSPORT_CLOSED (KEY-05)', async () => {
      const { runtime, code } = await replaced({ livesMs: 60_000 })
      for (let second = 0; second < 58; second += 1) await runtime.advance(1_000)
      expect(code()).toBeUndefined()
      await runtime.advance(1_500)
      await expect.poll(code, { timeout: 10_000 }).toBe('ERR_TRANSPORT_CLOSED')
    })

    test('control: it has as long as it takes where that lives on', async () => {
      const { runtime, code } = await replaced({ livesMs: 3_600_000 })
      for (let minute = 0; minute < 30; minute += 1) await runtime.advance(60_000)
      expect(code()).toBeUndefined()
    })

    test('and no more than 30 s where the policy refuses the peer as well: ERR_TRANSPORT_CLOSED', async () => {
      const { runtime, code, setPolicy } = await replaced({ livesMs: 3_600_000 })
      setPolicy([next.pin])
      await runtime.advance(30_000)
      await expect.poll(code, { timeout: 10_000 }).toBe('ERR_TRANSPORT_CLOSED')
    })

    /** One request that has arrived, and that nobody answers. */
    async function replaced({ livesMs }: { readonly livesMs: number }) {
      let arrived = 0
      const arrive = (): void => {
        arrived += 1
      }
      const unanswered =
        version === 'HTTP/2'
          ? ({ http2: 'require', onStream: arrive } as const)
          : ({
              http2: 'never',
              onSocket: (socket) => socket.on('data', arrive),
            } as const satisfies Setting)
      const runtime = createTestRuntime({ now: Date.now() })
      let inForce = { ...former, notAfter: toUnixMs(runtime.clock.now() + livesMs) }
      const { send, dispatcher, setPolicy } = await start({
        ...unanswered,
        runtime,
        requestCert: true,
        certificate: () => inForce,
        timeouts: { totalMs: 86_400_000, headersMs: 86_400_000, bodyMs: 86_400_000 },
      })
      let failure: { readonly code?: string } | undefined
      void send().catch((error: { readonly code?: string }) => {
        failure = error
      })
      await vi.waitUntil(() => arrived > 0, 10_000)
      inForce = own
      dispatcher.certificateChanged()
      return { runtime, setPolicy, code: () => failure?.code }
    }
  },
)

describe.each(ROADS)('a request whose credential is bound to a client certificate, over %s', (_, road) => {
  const stage = async (certificate = true) => {
    const { send, peer, streams } = await start({
      ...road,
      requestCert: true,
      ...(certificate && { certificate: () => own }),
    })
    const sendBoundTo = async (boundTo: string | undefined): Promise<number> => {
      const call = { startedAt: undefined, moved: 0, boundTo }
      return (await send({ call } as object)).status
    }
    return { sendBoundTo, arrived: () => peer.requests.length + streams.length, peer }
  }

  test('gets no connection of another one, neither new nor kept: ERR_AUTH_CERT_BINDING, and nothing is sent', async () => {
    const { sendBoundTo, arrived, peer } = await stage()
    const refusal = { name: 'AuthError', code: 'ERR_AUTH_CERT_BINDING', requestSent: 'no' }
    await expect(sendBoundTo(former.thumbprint)).rejects.toMatchObject(refusal)
    expect(arrived()).toBe(0)
    expect(await sendBoundTo(own.thumbprint)).toBe(200)
    await expect(sendBoundTo(former.thumbprint)).rejects.toMatchObject(refusal)
    expect(await sendBoundTo(own.thumbprint)).toBe(200)
    expect(await sendBoundTo(undefined)).toBe(200)
    expect(arrived()).toBe(3)
    expect(peer.connections).toHaveLength(1)
  })

  test('gets none that was made without any', async () => {
    const { sendBoundTo, arrived } = await stage(false)
    await expect(sendBoundTo(own.thumbprint)).rejects.toMatchObject({ code: 'ERR_AUTH_CERT_BINDING' })
    expect(await sendBoundTo(undefined)).toBe(200)
    expect(arrived()).toBe(1)
  })

  test('takes nobody along who waits beside it', async () => {
    const { sendBoundTo, arrived } = await stage()
    const bound = [own, former, own, former, former, own].map(({ thumbprint }) => sendBoundTo(thumbprint))
    const outcomes = await Promise.allSettled(bound)
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([true, false, true, false, false, true])
    expect(arrived()).toBe(3)
  })
})
