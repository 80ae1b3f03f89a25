/** What the programs of these tests share; they run in processes and threads of their own. */
import { type Client, createClient, type Runtime } from '../../src/index.ts'

const stage = JSON.parse(process.env['STAGE'] ?? '{}') as Record<'url' | 'manifest' | 'anchors', string>

/** A client of the stage's manifest, or of the one at another `source`; every name resolves to loopback. */
export function clientOf(given: { source?: string; cacheDir?: string; runtime?: Runtime } = {}): Client {
  const { source = stage.manifest, cacheDir, ...options } = given
  const root = Buffer.from(process.env['ROOT'] ?? '', 'base64')
  const cache = cacheDir === undefined ? { memoryOnly: true } : { cacheDir }
  const manifest = { url: source, root, ...cache }
  return createClient({ manifest, anchors: stage.anchors, resolver: async () => ['127.0.0.1'], ...options })
}

/** A GET of the API, its body read: the status, or the code of the refusal. */
export async function get(client: Client): Promise<number | string> {
  try {
    const response = await client.fetch(stage.url)
    await response.arrayBuffer()
    return response.status
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}
