import { createHash } from 'node:crypto'
import { testCa } from 'pinfetch/testing'
import { describe, expect, test } from 'vitest'
import { identityOf } from '../support/identity.ts'
import { start } from './http2-stage.ts'

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
