import {
  booleanOf,
  contextConstructed,
  contextPrimitive,
  type DerElement,
  DerError,
  namedBitsOf,
  openDer,
  openElement,
} from './der.ts'
import { type GeneralName, parseGeneralNames } from './general-names.ts'
import { parseRelativeName } from './names.ts'

/** Where a certificate's CRL is, and which part of its revocations stands there (RFC 5280 §4.2.1.13). */
export interface DistributionPoint {
  /** One name of the point in several forms, any of which identifies it. */
  readonly fullName?: readonly GeneralName[]
  /** Below the name of the list's issuer, as in `DistinguishedName.rdns`. */
  readonly nameRelativeToIssuer?: string
  /** Bits of ReasonFlags; absent: all. */
  readonly reasons?: ReadonlySet<number>
  /** Who signs the list, where that is not the certificate's issuer. */
  readonly crlIssuer?: readonly GeneralName[]
}

/** What a list is about (RFC 5280 §5.2.5). */
export interface IssuingDistributionPoint {
  readonly fullName?: readonly GeneralName[]
  readonly nameRelativeToIssuer?: string
  readonly onlyContainsUserCerts: boolean
  readonly onlyContainsCaCerts: boolean
  readonly onlySomeReasons?: ReadonlySet<number>
  readonly indirectCrl: boolean
  readonly onlyContainsAttributeCerts: boolean
}

/** @param value Content of the cRLDistributionPoints extension. @throws DerError */
export function parseDistributionPoints(value: Uint8Array): readonly DistributionPoint[] {
  const list = openDer(value)
  if (list.atEnd) throw new DerError('list of distribution points is empty')
  const points: DistributionPoint[] = []
  while (!list.atEnd) {
    const reader = list.enter()
    const name = reader.readOptional(contextConstructed(0))
    const reasons = reader.readOptional(contextPrimitive(1))
    const crlIssuer = reader.readOptional(contextConstructed(2))
    reader.expectEnd()
    // §4.2.1.13: reasons alone name no place.
    if (name === undefined && crlIssuer === undefined) throw new DerError('distribution point names nothing')
    points.push({
      ...(name === undefined ? {} : parsePointName(name)),
      ...(reasons === undefined ? {} : { reasons: namedBitsOf(reasons) }),
      ...(crlIssuer === undefined ? {} : { crlIssuer: parseGeneralNames(crlIssuer) }),
    })
  }
  return points
}

/** @param value Content of the issuingDistributionPoint extension. @throws DerError */
export function parseIssuingDistributionPoint(value: Uint8Array): IssuingDistributionPoint {
  const reader = openDer(value)
  if (reader.atEnd) throw new DerError('issuing distribution point is empty') // §5.2.5
  const name = reader.readOptional(contextConstructed(0))
  const flag = (number: number): boolean => {
    const field = reader.readOptional(contextPrimitive(number))
    return field !== undefined && booleanOf(field)
  }
  const onlyContainsUserCerts = flag(1)
  const onlyContainsCaCerts = flag(2)
  const someReasons = reader.readOptional(contextPrimitive(3))
  const indirectCrl = flag(4)
  const onlyContainsAttributeCerts = flag(5)
  reader.expectEnd()
  if ([onlyContainsUserCerts, onlyContainsCaCerts, onlyContainsAttributeCerts].filter(Boolean).length > 1) {
    throw new DerError('issuing distribution point contradicts itself') // §5.2.5: at most one of the three
  }
  return {
    ...(name === undefined ? {} : parsePointName(name)),
    onlyContainsUserCerts,
    onlyContainsCaCerts,
    ...(someReasons === undefined ? {} : { onlySomeReasons: namedBitsOf(someReasons) }),
    indirectCrl,
    onlyContainsAttributeCerts,
  }
}

/** DistributionPointName inside its tag, EXPLICIT because it is a CHOICE. */
function parsePointName(field: DerElement): Pick<DistributionPoint, 'fullName' | 'nameRelativeToIssuer'> {
  const reader = openElement(field)
  const choice = reader.read()
  reader.expectEnd()
  if (choice.tag === contextConstructed(0)) return { fullName: parseGeneralNames(choice) }
  if (choice.tag === contextConstructed(1)) return { nameRelativeToIssuer: parseRelativeName(choice) }
  throw new DerError('distribution point is named in no known form')
}
