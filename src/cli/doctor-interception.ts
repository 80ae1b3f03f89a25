import type { PinText } from '../encoding/pin.ts'
import { createInterceptionKeys, findInterception } from '../trust/interception.ts'
import { type Judgement, placeAll } from './chain.ts'
import type { Diagnosis } from './doctor.ts'

/**
 * Who stands between here and the server: by the keys that a manifest lists, and by the names that products put into what they
 * mint. The latter is a hint, since anybody can write a name, and a box can hide it.
 */
export function examineInterception(
  presented: readonly Uint8Array[],
  judgement: Judgement,
  listed: readonly PinText[],
): readonly Diagnosis[] {
  const list = createInterceptionKeys(listed, { id: '', effect: 'report' })
  const known = findInterception(list, judgement.path, presented)
  const names = placeAll(presented, judgement.path).flatMap(({ certificate: { subject, issuer } }) => [
    subject.text,
    issuer.text,
  ])
  const product = PRODUCTS.find(([, pattern]) => names.some((name) => pattern.test(name)))?.[0]
  return [
    ...(known === undefined
      ? []
      : [diagnosis(`the manifest lists ${known.spki}, a key of the chain, as one of an interception product`)]),
    ...(product === undefined ? [] : [diagnosis(`a certificate of the chain names ${product}`)]),
  ]
}

function diagnosis(reason: string): Diagnosis {
  const message = `${reason}: somebody between here and the server may read everything`
  return {
    id: 'INTERCEPTION',
    severity: 'error',
    subject: 'interception',
    message,
    fix: 'Compare the keys from another network.',
  }
}

const PRODUCTS: readonly (readonly [string, RegExp])[] = [
  ['mitmproxy', /mitmproxy/i],
  ['Burp', /portswigger/i],
  ['Fiddler', /fiddler/i],
  ['Charles', /charles proxy/i],
  ['Zscaler', /zscaler/i],
  ['Netskope', /netskope|goskope/i],
  ['Fortinet', /fortinet|fortigate/i],
  ['Palo Alto Networks', /palo ?alto/i],
  ['Blue Coat', /blue ?coat/i],
  ['Cisco Umbrella', /cisco umbrella/i],
  ['Sophos', /sophos/i],
  ['Kaspersky', /kaspersky/i],
  ['ESET', /\beset ssl\b/i],
  ['Avast', /avast/i],
  ['Bitdefender', /bitdefender/i],
]
