import tls from 'node:tls'
import type { Client, ClientOptions } from 'pinfetch'
import type { TestCa } from 'pinfetch/testing'
import { testClient } from './client.ts'

/** A client for whom the CA is a public one: its root stands in the operating system's store, as far as this process can tell. */
export function clientWithPublicCa(ca: TestCa, options: ClientOptions): Client {
  const own = Object.getOwnPropertyDescriptor(tls, 'getCACertificates')
  Object.defineProperty(tls, 'getCACertificates', { value: () => [ca.anchorPem], configurable: true })
  try {
    return testClient({ anchors: 'system', ...options })
  } finally {
    if (own === undefined) Reflect.deleteProperty(tls, 'getCACertificates')
    else Object.defineProperty(tls, 'getCACertificates', own)
  }
}
