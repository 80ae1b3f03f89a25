/** What the programs of these tests share; they run in processes and threads of their own. */
import { type Client, type ClientOptions, createClient } from '../../src/index.ts'

const stage = JSON.parse(process.env['STAGE'] ?? '{}') as Record<'url' | 'manifest' | 'anchors', string>

/** Of the API of the stage. */
export const { url } = stage

/** A client of the stage's manifest, which resolves every name to loopback. */
export function clientOf({ manifest, ...options }: Partial<ClientOptions> = {}): Client {
  const root = Buffer.from(process.env['ROOT'] ?? '', 'base64')
  const own = { url: stage.manifest, root, ...manifest }
  return createClient({
    manifest: own.cacheDir === undefined ? { ...own, memoryOnly: true } : own,
    anchors: stage.anchors,
    resolver: async () => ['127.0.0.1'],
    ...options,
  } as ClientOptions)
}

/** A GET of the API, its body read: the status, or the code of the refusal. */
export async function get(client: Client): Promise<number | string> {
  try {
    const response = await client.fetch(url)
    await response.arrayBuffer()
    return response.status
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}
