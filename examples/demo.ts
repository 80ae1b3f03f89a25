/**
 * The main job on real sockets: a signed manifest, a pinned request, a rotation without restart, an interception refused,
 * and the same interception against plain fetch. Everything runs in this process on loopback; exit code 0 only if each
 * step was seen to happen.
 */
import { createClient, PinfetchError, TrustError } from 'pinfetch'
import {
  createTestRepository,
  startInterceptor,
  startManifestServer,
  startRelay,
  startTlsServer,
  testCa,
} from 'pinfetch/testing'
import { Agent } from 'undici'

const HOST = 'localhost'

// The cast: a public CA, an API with its key, its backup key and a third one, and whoever publishes the pins.
const ca = testCa({ name: 'Public' })
const [current, backup, third] = [1, 2, 3].map(() => ca.issue({ names: [HOST] }))
if (current === undefined || backup === undefined || third === undefined) throw new Error('no keys')
const api = await startTlsServer({ identity: current })
const repository = await createTestRepository({ hosts: { [HOST]: [current.pin, backup.pin] } })
const pins = await startManifestServer({ files: repository, identity: ca.issue({ names: [HOST] }) })
// The man in the middle owns a CA that this machine trusts, as a corporate proxy does.
const proxyCa = testCa({ name: 'Corporate Proxy' })
const interceptor = await startInterceptor({ target: api, ca: proxyCa })
const wire = await startRelay({ target: api }) // where the attacker will switch himself in
const anchors = [ca.anchorPem, proxyCa.anchorPem]

const client = createClient({ manifest: { url: pins.url, root: repository.root, memoryOnly: true }, anchors })
const url = `${wire.origin}/v1/accounts`
const headers = { authorization: 'Bearer a-secret-token' }
let failed = 0

const RECORDS: Readonly<Record<number, string>> = {
  20: 'change_cipher_spec',
  21: 'alert',
  22: 'ClientHello',
  23: 'application_data',
}

await step('a', 'the manifest is verified before anything is requested', async () => {
  await client.ready()
  const health = client.health().manifest
  const roles = repository.repository.roles()
  say(
    `root ${health?.rootVersion}, status ${health?.statusVersion}, manifest ${health?.manifestVersion}; state ${health?.state}`,
  )
  for (const [role, { keys, threshold }] of Object.entries(roles)) {
    say(`${role.padEnd(8)} ${threshold} of ${keys.length}: ${keys.map(({ kid }) => kid).join(', ')}`)
  }
  return client.manifest.version === 1
})

await step('b', 'a pinned request', async () => {
  const response = await client.fetch(url, { headers })
  const protocol = api.connections[0]?.protocol
  say(`${response.status} over ${protocol}, the server has ${current.pin}`)
  return response.status === 200 && protocol === 'TLSv1.3'
})

await step('c', 'the server moves to its backup key; nothing restarts', async () => {
  api.setIdentity(backup)
  api.destroyConnections()
  await until(() => wire.connections.length > 0)
  const response = await client.fetch(url, { headers })
  say(`${response.status}, the server has ${backup.pin}`)
  return response.status === 200
})

await step(
  'd',
  'a new manifest removes the old key and adds a third; a live connection to the old key is closed',
  async () => {
    api.setIdentity(current)
    const before = `${api.origin}/v1/accounts`
    await client.fetch(before, { headers }) // a connection of its own, to the key that is about to go
    const live = api.connections.at(-1)
    await repository.publish({ hosts: { [HOST]: [backup.pin, third.pin] } })
    await client.manifest.refresh()
    await until(() => live?.socket.destroyed === true)
    say(`manifest ${client.manifest.version} in force; connection ${live?.number} to ${current.pin} is closed`)
    const refused = await client.fetch(before, { headers }).catch((error: unknown) => error)
    say(`the next request to the old key: ${codeOf(refused)}`)
    api.setIdentity(third)
    const { status } = await client.fetch(before, { headers })
    say(`${status} as soon as the server has ${third.pin}`)
    const late = api.requests.filter(({ connection }) => connection === live?.number).length
    return codeOf(refused) === 'ERR_TRUST_PIN_MISMATCH' && status === 200 && late === 1
  },
)

await step('e', 'an interceptor whose CA is trusted switches himself in', async () => {
  wire.setTarget(interceptor)
  api.destroyConnections()
  await wire.idle() // the client has heard of it
  const seenBefore = wire.connections.length
  const error = await client.fetch(url, { headers }).catch((caught: unknown) => caught)
  await wire.idle()
  if (error instanceof TrustError) say(`${error.name} [${error.code}]: ${error.message}`)
  const records = wire.connections.slice(seenBefore).flatMap(({ clientToServer }) => clientToServer.records)
  say(
    `the wire saw from us: ${records.map(({ type, length }) => `${RECORDS[type] ?? type} (${length} bytes)`).join(', ')}`,
  )
  say(`the interceptor read ${interceptor.plaintext.length} bytes`)
  const onlyClientHello = records.length === 1 && records[0]?.type === 22 && records[0].firstByte === 1
  return codeOf(error) === 'ERR_TRUST_PIN_MISMATCH' && onlyClientHello && interceptor.plaintext === ''
})

await step('f', 'plain fetch, trusting the same CAs, through the same interceptor', async () => {
  const dispatcher = new Agent({ connect: { ca: anchors } })
  const { status } = await fetch(url, { headers, dispatcher } as object)
  const leaked = /authorization: .*/i.exec(interceptor.plaintext)?.[0]
  say(`${status}, and the interceptor read: ${leaked}`)
  await dispatcher.destroy()
  return status === 200 && leaked === 'authorization: Bearer a-secret-token'
})

await Promise.all([client.close(), pins.close(), wire.close(), interceptor.close(), api.close()])
say(failed === 0 ? '\nEvery step happened as described.' : `\n${failed} steps did not happen as described.`)
process.exitCode = failed === 0 ? 0 : 1

async function step(letter: string, title: string, run: () => Promise<boolean>): Promise<void> {
  process.stdout.write(`\n(${letter}) ${title}\n`)
  const happened = await run().catch((error: unknown) => {
    say(String(error))
    return false
  })
  if (!happened) {
    failed += 1
    say('DID NOT HAPPEN')
  }
}

function say(text: string): void {
  process.stdout.write(`${text.replace(/^(?!\n)/gm, '    ')}\n`)
}

function codeOf(value: unknown): string {
  return value instanceof PinfetchError ? value.code : `no refusal (${String(value)})`
}

/** Waits for something on the other end of a socket, two seconds at most. */
async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition() && waited < 2_000; waited += 10)
    await new Promise((resolve) => setTimeout(resolve, 10))
}
