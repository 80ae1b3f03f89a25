import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A port of 127.0.0.1 that nothing listens on, for a program that has to be told one. Below the range from which the system gives
 * ports to whoever asks for any (32768 and up on Linux): there, another server could have it before the program does.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    if (given.has(port)) continue
    const probe = createServer().listen(port, '127.0.0.1')
    try {
      await once(probe, 'listening')
    } catch {
      continue // in use
    }
    given.add(port)
    probe.close()
    await once(probe, 'close')
    return port
  }
}

const given = new Set<number>()
