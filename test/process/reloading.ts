/** A service that makes a new client at SIGHUP and closes the old one, with 32 callers that never stop. */
import { once } from 'node:events'
import { clientOf, get } from './child.ts'

const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`)

let client = clientOf()
let swaps = 0
let requests = 0
let isOver = false
const failures: unknown[] = []
const closings: Promise<void>[] = []

async function reload(): Promise<void> {
  const next = clientOf()
  await next.ready()
  const old = client
  client = next
  closings.push(old.close()) // what it has in flight is finished
  swaps += 1
  await Promise.all(closings)
  say({ swapped: swaps, failures })
}

async function call(): Promise<void> {
  while (!isOver) {
    const answer = await get(client)
    requests += 1
    if (answer !== 200) failures.push(answer)
  }
}

process.on('SIGHUP', () => void reload())
await client.ready()
const callers = Array.from({ length: 32 }, call)
say({ started: true })

await once(process.stdin.resume(), 'end')
isOver = true
await Promise.all(callers)
await client.close()
const open = process.getActiveResourcesInfo().filter((kind) => /TCP|TLS/.test(kind)).length
say({ requests, failures, open })
process.exit() // the handler of the signal would keep the process
