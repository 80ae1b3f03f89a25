import { type PinHash, type PinText, pinOfSpki } from '../encoding/pin.ts'
import { toUnixMs } from '../ports/runtime.ts'
import type { HostInput } from '../publisher/documents.ts'
import type { AnchorSet } from '../trust/anchors.ts'
import { findPath } from '../trust/path/build.ts'
import type { CertificationPath } from '../trust/path/path.ts'
import type { Certificate } from '../x509/certificate.ts'
import { readBytes } from './files.ts'
import type { Io } from './io.ts'
import { UsageError } from './outcome.ts'
import { materialOf } from './source.ts'
import { dateOf } from './text.ts'

export interface Proposal {
  readonly data: object
  /** As it will be signed. */
  readonly entry: HostInput
  /** What the set accepts, and what it survives. */
  readonly tradeOff: readonly [string, string]
  /** To paste into source code. */
  readonly text: readonly string[]
  readonly warnings: readonly string[]
  readonly next: string
}

interface ProposedPin {
  readonly spki: PinText
  readonly label: string
}

/**
 * A pin set for an API whose owner's reserve key nobody here holds. Its key and its issuer's: the first is what the server
 * has, the second what will still stand above the owner's next key. The caller has verified the path.
 */
export function propose(input: {
  readonly path: CertificationPath
  readonly host: string
  readonly hash: PinHash
  readonly sibling: Certificate | undefined
}): Proposal {
  const { path, host, hash, sibling } = input
  const [endEntity, issuer] = path.certificates
  const pinned = (role: string, { spki, subject, notAfter }: Certificate): ProposedPin => ({
    spki: pinOfSpki(spki, hash),
    label: `${role}, ${subject.text}, until ${dateOf(notAfter).slice(0, 10)}`,
  })
  const pins = [
    pinned('end entity', endEntity),
    ...(issuer === undefined ? [] : [pinned('issuer', issuer)]),
    ...(sibling === undefined ? [] : [pinned('sibling issuer', sibling)]),
  ]
  const entry: HostInput = {
    host,
    mode: 'enforce',
    keyControl: 'partner',
    pins: pins.map(({ spki, label }) => ({ spki, label: label.slice(0, MAX_LABEL) })),
    ...(pins.length === 1 ? { singlePin: true } : {}),
  }
  const [strictness, survival] = tradeOff(pins.length, sibling !== undefined)
  return {
    entry,
    tradeOff: [strictness, survival],
    data: { host, pins: pins.map(({ spki }) => spki), entry, tradeOff: [strictness, survival] },
    text: [
      `// ${strictness}`,
      `// ${survival}`,
      'pins: {',
      `  '${host}': [`,
      ...pins.map(({ spki, label }) => `    '${spki}', // ${label}`),
      '  ],',
      '},',
    ],
    warnings: pins.length === 1 ? [ONE_PIN] : [],
    next: `pinfetch manifest add-host ${host} --partner --dir <dir> ${pins.map(({ spki }) => `--pin ${spki}`).join(' ')}${pins.length === 1 ? ' --single-pin' : ''}`,
  }
}

/** The certificate of `--sibling`: a CA's, under one of the anchors. @throws UsageError */
export async function readSibling(path: string, anchors: AnchorSet, io: Io): Promise<Certificate> {
  const [material] = materialOf(path, await readBytes(path), io)
  const hint = 'Give the PEM of the other issuer, as the CA publishes it.'
  if (material.kind !== 'certificate' || material.certificate.decoded.basicConstraints?.ca !== true) {
    throw new UsageError(`${path}: not the certificate of an issuer`, hint)
  }
  const { certificate } = material
  const verdict = findPath({
    presented: [certificate.der],
    anchors,
    now: toUnixMs(io.now()),
    profile: 'rfc5280', // lets a CA stand at the end
    extendedKeyUsage: [],
  })
  if (verdict.kind === 'valid') return certificate
  throw new UsageError(`${path}: does not verify: ${verdict.findings[0]?.message}`, hint)
}

function tradeOff(count: number, hasSibling: boolean): readonly [string, string] {
  if (count === 1) return ['Accepts this very key and no other.', 'Stops working on the day its owner changes the key.']
  const strictness = `Accepts this key, and any key that ${hasSibling ? 'these issuers certify' : 'this issuer certifies'} for the name: narrower than every CA, wider than one key.`
  const survival = hasSibling
    ? 'Survives the owner’s next key, and a move to the sibling. Stops working when the owner moves further.'
    : 'Survives the owner’s next key. Stops working when the owner moves to another issuer: ask which (--sibling).'
  return [strictness, survival]
}

const ONE_PIN =
  'there is one key and no issuer above it: ask the API’s owner for the key held in reserve, or the next change of keys will stop you'
const MAX_LABEL = 256 // of the schema
