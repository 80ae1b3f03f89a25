import { createHash } from 'node:crypto'
import { createTestRuntime } from 'pinfetch/testing'
import { expect, onTestFinished } from 'vitest'
import type { ClientEvent } from '../../src/events/events.ts'
import type { FieldLine } from '../../src/signing/message.ts'
import type { RequestPatch, RequestSigner, SignableBody, SignableRequest } from '../../src/signing/signing.ts'

/** A request as a client hands it to its signers. */
export function signable({ url, method = 'GET', fields = [], body }: Given): SignableRequest {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  return { kind: 'request', method, url, origin: new URL(url).origin, fields, body: bodyOf(bytes) }
}

interface Given {
  readonly url: string
  readonly method?: string
  readonly fields?: readonly FieldLine[]
  readonly body?: string | Uint8Array
}

function bodyOf(bytes: Uint8Array | undefined): SignableBody {
  if (bytes === undefined) return { kind: 'none' }
  return { kind: 'bytes', bytes, digest: (algorithm) => createHash(algorithm).update(bytes).digest() }
}

export const streamed = (request: SignableRequest): SignableRequest => ({ ...request, body: { kind: 'stream' } })

/** A signer in a client whose clock stands at an instant. */
export function bound(signer: RequestSigner, { now = NOW, offsetMs = 0 } = {}) {
  const runtime = createTestRuntime({ now })
  const events: ClientEvent[] = []
  const host = { runtime, emit: (event: ClientEvent) => void events.push(event), clockOffset: () => offsetMs }
  const binding = signer.bind(host)
  onTestFinished(() => binding.close?.())
  const sign = async (request: SignableRequest, signal = new AbortController().signal): Promise<RequestPatch> =>
    binding.sign(request, { signal })
  return { ...binding, sign, runtime, events }
}

/** What a call throws, or rejects with. */
export async function refusal(work: () => unknown): Promise<unknown> {
  try {
    await work()
  } catch (error) {
    return error
  }
  return expect.unreachable('it was accepted')
}

export const NOW = Date.UTC(2026, 0, 1, 12)
