/**
 * A rotating refresh token that several processes share: whoever redeems it twice ends the session, so one of them renews, and
 * the others adopt what it stored, sealed. `npx tsx examples/auth-refresh-token-redis.ts`; needs `redis-server`.
 */
import { fork, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'pinfetch'
import { jweCipher, oauth, redisTokenStore } from 'pinfetch/auth'
import { createClient as createRedis } from 'redis'
import { startLab } from './auth-lab.ts'

if (process.send === undefined) await parent()
else await service(JSON.parse(process.env['LAB'] ?? ''))

/** What each process of the service does. */
async function service({
  redisSocket,
  sealKey,
  refreshToken,
  issuer,
  metadata,
  apiOrigin,
  pins,
  anchors,
}: Handed): Promise<void> {
  const redis = await createRedis({ socket: { path: redisSocket, tls: false } }).connect()
  const client = createClient({
    ...{ pins, anchors, resolver: async () => ['127.0.0.1'] },
    auth: oauth({
      ...{ issuer, metadata, allowedOrigins: [apiOrigin] },
      client: { id: 'mailer', authentication: { method: 'none' } },
      grant: { type: 'refresh_token', initial: { value: refreshToken } }, // from the login of an operator, once
      store: redisTokenStore({ client: redis }),
      encryption: jweCipher({ keys: { 2026: Buffer.from(sealKey, 'base64') }, current: '2026' }),
    }),
  })
  const { status } = await client.fetch(`${apiOrigin}/mail`)
  await client.close()
  redis.destroy()
  process.send?.(status)
  process.disconnect()
}

async function parent(): Promise<void> {
  if (spawnSync('redis-server', ['--version']).error !== undefined) {
    return console.log('skipped: no redis-server is installed')
  }
  const redisSocket = join(tmpdir(), `pinfetch-example-${process.pid}.sock`)
  const redis = spawn('redis-server', ['--port', '0', '--unixsocket', redisSocket, '--save', ''], { stdio: 'pipe' })
  for await (const line of redis.stdout) if (String(line).includes('eady to accept')) break
  const { lab, trust, close, ...rest } = await startLab()
  const { issuer, metadata, apiOrigin, refreshToken } = rest
  const { pins, anchors } = trust
  const sealKey = randomBytes(32).toString('base64')
  const handed: Handed = { redisSocket, sealKey, refreshToken, issuer, metadata, apiOrigin, pins, anchors }
  const children = [1, 2].map(() =>
    fork(import.meta.filename, { env: { ...process.env, LAB: JSON.stringify(handed) } }),
  )
  const statuses = await Promise.all(children.map(async (child) => (await once(child, 'message'))[0]))
  console.log(`two processes: ${statuses.join(' and ')}; ${lab.grants.length} refresh for both`)
  redis.kill()
  await close()
}

type Lab = Awaited<ReturnType<typeof startLab>>
type Handed = Pick<Lab, 'issuer' | 'metadata' | 'apiOrigin' | 'refreshToken'> &
  Pick<Lab['trust'], 'pins' | 'anchors'> & { readonly redisSocket: string; readonly sealKey: string }
