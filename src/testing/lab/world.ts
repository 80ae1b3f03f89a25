import { type TestCa, testCa } from '../ca.ts'

/** What all attacks of a run share: certificates take longer to make than servers. */
export interface World {
  /** Trusted by every contender: the victim's CA. */
  readonly ca: TestCa
  /** Trusted as well, and not pinned: who was wrongly trusted. */
  readonly otherCa: TestCa
  /** Trusted by nobody. */
  readonly untrustedCa: TestCa
  /** PEM of the two that are trusted. */
  readonly anchors: string
  /** The victim's own certificate, for mutual TLS: PEM. */
  readonly certificate: { readonly cert: string; readonly key: string }
  /** What takes seconds to start: once, for whoever asks under this name; what can be closed is closed with the world. */
  readonly shared: <T extends object>(name: string, start: () => Promise<T>) => Promise<T>
  readonly close: () => Promise<void>
}

export function createWorld(): World {
  const ca = testCa({ name: 'Genuine' })
  const otherCa = testCa({ name: 'Wrongly Trusted' })
  const client = ca.issue({ subject: 'Client', extendedKeyUsage: ['clientAuth'] })
  const started = new Map<string, Promise<object>>()
  return {
    ca,
    otherCa,
    untrustedCa: testCa({ name: 'Untrusted' }),
    anchors: `${ca.anchorPem}${otherCa.anchorPem}`,
    certificate: { cert: client.pem, key: client.keyPem },
    shared: <T extends object>(name: string, start: () => Promise<T>) => {
      const starting = started.get(name) ?? start()
      started.set(name, starting)
      return starting as Promise<T>
    },
    close: async () => {
      const ended = await Promise.allSettled(started.values())
      await Promise.all(ended.map((one) => one.status === 'fulfilled' && closeOf(one.value)))
      started.clear()
    },
  }
}

const closeOf = (resource: { readonly close?: () => Promise<void> }): Promise<void> | undefined => resource.close?.()
