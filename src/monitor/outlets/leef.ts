import { CODES } from '../../errors/codes.ts'
import { meaningOf, type Severity } from './meaning.ts'
import { endpointOf, factsOf, PRODUCT, type ToldEvent } from './record.ts'

/**
 * One line of QRadar's Log Event Extended Format, version 2.0, without the line's end. Between attributes stands a tab; there is no way
 * to write one within a value, nor a line's end, so that both are a space there.
 */
export function leefLine({ event, at }: ToldEvent): string | undefined {
  const meaning = meaningOf(event)
  if (meaning === undefined) return undefined
  const { kind, severity, title, outcome, action, code, host } = meaning
  const handshake = event.type === 'tls.handshake' ? event : undefined
  const endpoint = host === undefined ? undefined : endpointOf(host)
  const [endEntity] = handshake?.presented ?? []
  const connection = handshake?.connection
  const attributes = {
    devTime: new Date(handshake?.at ?? at).toISOString().replace('Z', '+0000'),
    devTimeFormat: "yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    cat: `${kind}/${event.type}`,
    sev: SEVERITIES[severity],
    dst: handshake?.proxy === undefined ? handshake?.address : undefined,
    dstPort: endpoint?.port,
    dstHost: endpoint?.host,
    action,
    outcome,
    reason: code,
    certificateSha256: endEntity && factsOf(endEntity).sha256,
    tlsCipher: connection && `${connection.protocol} ${connection.cipher}`,
    manifestVersion: handshake?.policy.manifestVersion,
    title,
    msg: code === undefined ? title : CODES[code].about,
  }
  const head = ['LEEF:2.0', PRODUCT.vendor, PRODUCT.name, PRODUCT.version, code ?? event.type, 'x09']
  const pairs = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${String(value).replace(/[\t\r\n]+/g, ' ')}`],
  )
  return `${head.join('|')}|${pairs.join('\t')}`
}

const SEVERITIES: Readonly<Record<Severity, number>> = { informational: 1, low: 3, medium: 5, high: 8, critical: 10 }
