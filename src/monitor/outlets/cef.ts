import { CODES } from '../../errors/codes.ts'
import type { HandshakeEvent } from '../../events/handshake.ts'
import { meaningOf, type Severity } from './meaning.ts'
import { endpointOf, factsOf, PRODUCT, type ToldEvent } from './record.ts'

/** One line of the ArcSight Common Event Format, revision 25, without the line's end. */
export function cefLine({ event, at }: ToldEvent): string | undefined {
  const meaning = meaningOf(event)
  if (meaning === undefined) return undefined
  const { kind, severity, title, outcome, action, code, host } = meaning
  const head = [
    'CEF:0',
    ...[PRODUCT.vendor, PRODUCT.name, PRODUCT.version, code ?? event.type, title].map(escapeHead),
    String(SEVERITIES[severity]),
  ]
  const handshake = event.type === 'tls.handshake' ? event : undefined
  const fields: readonly (readonly [string, string | number | undefined])[] = [
    ['rt', handshake?.at ?? at],
    ['cat', `${kind}/${event.type}`],
    ['act', action],
    ['outcome', outcome],
    ['reason', code],
    ['dhost', host === undefined ? undefined : endpointOf(host).host],
    ['dpt', host === undefined ? undefined : endpointOf(host).port],
    ['dst', handshake?.proxy === undefined ? ipv4(handshake?.address) : undefined],
    ...(handshake === undefined ? [] : handshakeFields(handshake)),
    ['msg', code === undefined ? title : CODES[code].about],
  ]
  const extension = fields.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${escapeField(value)}`]))
  return `${head.join('|')}|${extension.join(' ')}`
}

function handshakeFields({
  presented,
  connection,
  policy,
}: HandshakeEvent): readonly (readonly [string, string | number | undefined])[] {
  const [endEntity] = presented
  const sha256 = endEntity === undefined ? undefined : factsOf(endEntity).sha256
  return [
    ['cs1Label', sha256 === undefined ? undefined : 'certificateSha256'],
    ['cs1', sha256],
    ['cs2Label', connection === undefined ? undefined : 'tlsCipher'],
    ['cs2', connection === undefined ? undefined : `${connection.protocol} ${connection.cipher}`],
    ['cn1Label', 'manifestVersion'],
    ['cn1', policy.manifestVersion],
  ]
}

/** `dst` is for IPv4 alone. */
const ipv4 = (address: string | undefined): string | undefined =>
  address?.includes(':') === true ? undefined : address

/** A pipe would begin the next field, a line's end the next record. */
const escapeHead = (text: string): string => text.replace(/[\\|]/g, '\\$&').replace(/[\r\n]+/g, ' ')

const escapeField = (value: string | number): string =>
  String(value)
    .replace(/[\\=]/g, '\\$&')
    .replace(/\r\n|[\r\n]/g, '\\n')

const SEVERITIES: Readonly<Record<Severity, number>> = { informational: 1, low: 3, medium: 5, high: 8, critical: 10 }
