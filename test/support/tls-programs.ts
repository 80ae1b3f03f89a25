import { createDiffieHellmanGroup } from 'node:crypto'
import { pathOf } from '../../src/testing/lab/programs.ts'

/** TLS servers that others wrote and that still speak what Node’s own no longer does. */
export type TlsProgram = 'openssl' | 'gnutls-serv'

export const PROGRAMS: Readonly<Record<TlsProgram, boolean>> = {
  openssl: pathOf('openssl') !== undefined,
  'gnutls-serv': pathOf('gnutls-serv') !== undefined,
}
for (const [program, found] of Object.entries(PROGRAMS)) {
  if (!found) process.stderr.write(`not run: the tests with ${program}, which is not installed\n`)
}

/** PEM of the Diffie-Hellman parameters of a well-known group: `modp2` has 1024 bits, `modp14` 2048. */
export function dhParameters(name: 'modp2' | 'modp14'): string {
  const group = createDiffieHellmanGroup(name)
  const integers = Buffer.concat([group.getPrime(), group.getGenerator()].map((value) => tlv(0x02, positive(value))))
  return `-----BEGIN DH PARAMETERS-----\n${tlv(0x30, integers).toString('base64').replace(/.{64}/g, '$&\n')}\n-----END DH PARAMETERS-----\n`
}

const positive = (value: Buffer): Buffer => ((value[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.of(0), value]) : value)

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content
  const header = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(header), content])
}
