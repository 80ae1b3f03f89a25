import type { TestCertificate } from 'pinfetch/testing'
import { checkIdentity } from '../../src/client/certificate-check.ts'
import { toUnixMs } from '../../src/ports/runtime.ts'
import type { ClientIdentity } from '../../src/transport/client-certificate.ts'

/** A certificate of the test kit as connections take it. */
export function identityOf({ pem: cert, keyPem: key }: TestCertificate): ClientIdentity {
  return checkIdentity({ cert, key }, { cert: 'cert', key: 'key' }, toUnixMs(Date.now()))
}
