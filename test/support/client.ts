import { type Client, type ClientOptions, createClient, type PinfetchError } from 'pinfetch'
import { expect, onTestFinished } from 'vitest'

/** A client that resolves every DNS name to loopback and ends with the test. */
export function testClient(options: ClientOptions): Client {
  const client = createClient({ resolver: async () => ['127.0.0.1'], ...options })
  onTestFinished(() => client.close())
  return client
}

/** Closes a server, relay or file handle when the test ends. */
export async function until<T extends { close(): Promise<unknown> }>(started: Promise<T>): Promise<T> {
  const resource = await started
  onTestFinished(() => void resource.close())
  return resource
}

/** The error a call rejects with, which must be ours and carry this code. */
export async function refusalOf(call: Promise<unknown>, code: PinfetchError['code']): Promise<PinfetchError> {
  const outcome = await call.then(
    (value: unknown) => ({ value }),
    (error: PinfetchError) => ({ error }),
  )
  if (!('error' in outcome)) expect.fail(`expected ${code}, got a result: ${String(outcome.value)}`)
  expect(outcome.error).toMatchObject({ code })
  return outcome.error
}
