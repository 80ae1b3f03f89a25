import { createHash } from 'node:crypto'
import { startTlsServer } from 'pinfetch/testing'
import { expect, test } from 'vitest'
import { API, ca, identity } from '../support/auth-stage.ts'
import { until } from '../support/client.ts'
import { runModule } from '../support/run.ts'
import { isFull } from '../support/tier.ts'

const MIB = 1_048_576
const SIZE = (isFull ? 1_024 : 192) * MIB
const CHUNK = 65_536
const MORE_MIB = isFull ? 32 : 96 // the shorter one is half of what a body in memory would need

test(`a signed upload of ${SIZE / MIB} MiB from a stream, with the digest of the caller, needs at most ${MORE_MIB} MiB more than one that is not signed`, async () => {
  const received: { readonly bytes: number; readonly digest: string; readonly said: string }[] = []
  const server = await until(
    startTlsServer({
      identity,
      onSocket: (socket) => {
        const hash = createHash('sha256')
        let head = ''
        let bytes = 0
        let expected: number | undefined
        const end = (): void => {
          const said = /content-digest: ([^\r]+)/i.exec(head)?.[1] ?? ''
          const isSigned = /signature: sig/i.test(head)
          received.push({ bytes, digest: `sha-256=:${hash.digest('base64')}:`, said: isSigned ? said : 'not signed' })
          socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok')
        }
        socket.on('data', (chunk: Buffer) => {
          let content = chunk
          if (expected === undefined) {
            head += chunk.toString('latin1')
            const at = head.indexOf('\r\n\r\n')
            if (at < 0) return
            content = Buffer.from(head.slice(at + 4), 'latin1')
            head = head.slice(0, at)
            expected = Number(/content-length: (\d+)/i.exec(head)?.[1])
          }
          bytes += content.length
          hash.update(content)
          if (bytes === expected) end()
        })
        socket.on('error', () => undefined)
      },
    }),
  )
  const plain = await peakOf(server.port, false)
  expect(received.at(-1)?.said).toBe('not signed')
  const signed = await peakOf(server.port, true)
  const last = received.at(-1)
  expect(received.filter(({ bytes }) => bytes === SIZE)).toHaveLength(2)
  expect(last?.said).toBe(last?.digest)
  if (isFull) process.stdout.write(`upload of ${SIZE / MIB} MiB: at most ${plain} MiB, signed ${signed} MiB\n`)
  expect(signed - plain).toBeLessThanOrEqual(MORE_MIB)
}, 600_000)

/** How much memory an upload needs, in MiB; in a process of its own, after others that gave its heap its size. */
async function peakOf(port: number, isSigned: boolean): Promise<number> {
  const given = JSON.stringify({
    url: `https://${API}:${port}/upload`,
    pins: { [API]: [identity.pin] },
    anchors: ca.anchorPem,
    SIZE,
    CHUNK,
    MIB,
    isSigned,
  })
  const { stdout, stderr } = await runModule(
    `import { createHash, generateKeyPairSync } from 'node:crypto'
    import { createClient } from './src/index.ts'
    import { httpSignature, localSigner } from './src/signing/index.ts'
    const { url, pins, anchors, SIZE, CHUNK, MIB, isSigned } = ${given}
    const key = localSigner(generateKeyPairSync('ed25519').privateKey, { keyId: 'k' })
    const signing = isSigned ? { sign: httpSignature({ keys: key }) } : {}
    const timeouts = { totalMs: 600_000, headersMs: 600_000 }
    const client = createClient({ pins, anchors, ...signing, timeouts, resolver: async () => ['127.0.0.1'] })
    const chunk = new Uint8Array(CHUNK).fill(7)
    const digestOf = (size) => {
      const hash = createHash('sha256')
      for (let at = 0; at < size; at += CHUNK) hash.update(chunk)
      return 'sha-256=:' + hash.digest('base64') + ':'
    }
    let most = 0
    const upload = async (size) => {
      let left = size
      const body = new ReadableStream({
        pull: (controller) => {
          if (left === 0) return controller.close()
          left -= CHUNK
          if (left % (4 * MIB) === 0) most = Math.max(most, process.memoryUsage.rss())
          controller.enqueue(chunk)
        },
      }, { highWaterMark: 0 })
      const headers = { 'content-digest': digestOf(size), 'content-length': String(size) }
      const response = await client.fetch(url, { method: 'PUT', body, duplex: 'half', headers })
      await response.text()
      return response.status
    }
    for (let i = 0; i < 2; i += 1) await upload(64 * MIB)
    global.gc()
    most = 0
    const status = await upload(SIZE)
    console.log(JSON.stringify({ status, peak: Math.round(most / MIB) }))
    process.exit(0)`,
    {},
    ['--expose-gc'],
  )
  expect(stderr).toBe('')
  const { status, peak } = JSON.parse(stdout) as { status: number; peak: number }
  expect(status).toBe(200)
  return peak
}
