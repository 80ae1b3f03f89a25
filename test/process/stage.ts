import { type ServerIdentity, startTlsServer, type TestTlsServer, testCa } from 'pinfetch/testing'
import { until } from '../support/client.ts'
import { startTestPins, type TestPins } from '../support/pins.ts'

export const API = 'api.example.com'
export const ca = testCa()
export const pinned = ca.issue({ names: [API] })
export const backup = ca.issue({ names: [API] })

export interface Stage extends TestPins {
  readonly api: TestTlsServer
  /** What `clientOf` in `child.ts` reads. */
  readonly env: Readonly<Record<string, string>>
}

/** An API whose connections are kept for ten minutes if it is for the server, and a manifest with its key and a backup. */
export async function startStage(identity: ServerIdentity = pinned): Promise<Stage> {
  const api = await until(
    startTlsServer({
      identity,
      handler: (_, response) => response.writeHead(200, { 'keep-alive': 'timeout=600' }).end('ok'),
    }),
  )
  const pins = await startTestPins({ ca, name: 'pins.example.com', hosts: hosts(pinned.pin, backup.pin) })
  const env = {
    STAGE: JSON.stringify({ url: `https://${API}:${api.port}/`, manifest: pins.manifest.url, anchors: ca.anchorPem }),
    ROOT: Buffer.from(pins.manifest.root).toString('base64'),
  }
  return { ...pins, api, env }
}

export const hosts = (...pins: readonly (typeof pinned.pin)[]) => ({ [API]: pins })
