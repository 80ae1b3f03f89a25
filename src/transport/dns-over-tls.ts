import type { CanonicalOrigin } from '../encoding/host.ts'
import { PinfetchError } from '../errors/errors.ts'
import type { Runtime } from '../ports/runtime.ts'
import { raceSignal } from '../ports/signals.ts'
import type { Connector } from './connector.ts'
import type { DnsServer } from './dns-resolver.ts'
import { createDnsStream, type DnsStream } from './dns-stream.ts'

/**
 * DNS over TLS (RFC 7858): one connection carries all queries. One that the server closed without an answer is asked again over
 * another connection, once.
 */
export function createDnsOverTls(
  origin: CanonicalOrigin,
  { connect }: Pick<Connector, 'connect'>,
  runtime: Runtime,
): DnsServer['ask'] {
  let current: DnsStream | undefined
  let opening: Promise<DnsStream> | undefined

  const open = async (): Promise<DnsStream> => {
    const connection = await new Promise<Parameters<typeof createDnsStream>[0]>((resolve, reject) => {
      connect(origin, (result) => (result instanceof PinfetchError ? reject(result) : resolve(result)))
    })
    current = createDnsStream(connection, runtime)
    return current
  }
  const stream = (): Promise<DnsStream> => {
    if (current?.isOpen() === true) return Promise.resolve(current)
    opening ??= open().finally(() => {
      opening = undefined
    })
    return opening
  }

  return async (host, type, { signal }) => {
    for (let attempts = 1; ; attempts += 1) {
      const { ask } = await raceSignal(stream(), signal)
      const answer = await ask(host, type, signal)
      if (answer !== undefined) return answer
      if (attempts === MAX_ATTEMPTS) throw new Error('the connection was closed without an answer')
    }
  }
}

const MAX_ATTEMPTS = 2 // an idle connection may be closed in the very moment that a query is sent: RFC 7766 §6.2.3
