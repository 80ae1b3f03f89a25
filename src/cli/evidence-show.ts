import { CODES, type ErrorCode } from '../errors/codes.ts'
import type { EvidenceBundle } from '../monitor/evidence/schema.ts'
import { readEvidence } from '../monitor/evidence/verify.ts'
import { type Certificate, parseCertificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der.ts'
import { sealWarnings } from './evidence-verify.ts'
import { readBytes } from './files.ts'
import { namesOf } from './inspect.ts'
import { type Paint, printable } from './io.ts'
import type { Outcome } from './outcome.ts'
import { dateOf, fromNow, keyText, shownPath, table } from './text.ts'

/** Evidence for somebody who was just woken up: what happened, what was expected, what came, what to do. */
export async function showEvidence(file: string, paint: Paint): Promise<Outcome> {
  const { evidence, record, sha256, signature } = readEvidence(await readBytes(file))
  const { judged } = evidence
  return {
    data: { file, sha256, signature, evidence: record },
    text: [
      ...headline(evidence, paint),
      '',
      ...table(expectedRows(evidence)),
      '',
      ...table(cameRows(evidence)),
      '',
      ...table(surroundingRows(evidence)),
      '',
      ...table(todoRows(evidence)),
    ],
    warnings: sealWarnings(signature, judged !== undefined),
    next: `pinfetch evidence verify ${shownPath(file)}`,
  }
}

function headline({ handshake, trigger }: EvidenceBundle, paint: Paint): readonly string[] {
  const { verdict, host, at, code, findings } = handshake
  const seen = trigger === 'interception' ? `${verdict}, a known interception product was seen` : verdict
  const word = verdict === 'refused' ? paint.red(seen) : paint.yellow(seen)
  const others = findings.filter((finding) => finding.code !== code)
  const [first] = findings
  return [
    `${word}  ${paint.bold(printable(host))}  ${at}`,
    ...(code === undefined ? [] : [`${paint.bold(printable(code))}  ${printable(first?.message ?? aboutOf(code))}`]),
    ...others.map((finding) => `${printable(finding.code)}  ${printable(finding.message)}`),
  ]
}

function expectedRows({ judged, handshake }: EvidenceBundle): readonly (readonly string[])[] {
  const { policy } = handshake
  const version = policy.manifestVersion === 0 ? '' : `, manifest ${policy.manifestVersion}`
  const name = judged && Object.values(judged.identity)[1]
  const pins = (judged?.policy.pinGroups ?? []).flat()
  return [
    ['expected', printable(`${name ?? handshake.host}  by ${policy.source}${version}, mode ${policy.mode}`)],
    ...pins.map(({ spki, label, require }) => ['', `${printable(spki)}${[label, require].map(aside).join('')}`]),
    ...(pins.length === 0 ? [['', 'no pins']] : []),
    ...(judged?.policy.denies ?? []).map(({ spki, reason }) => ['denied', printable(`${spki}  ${reason}`)]),
  ]
}

const aside = (text: string | undefined): string => (text === undefined ? '' : `  ${printable(text)}`)

function cameRows({ presented, path, handshake, judged }: EvidenceBundle): readonly (readonly string[])[] {
  const [first] = presented.map(readable)
  const matched = new Set(handshake.pins.matched)
  const when = Date.parse(handshake.at)
  const about = first === undefined ? [] : aboutCertificate(first, when)
  return [
    [
      'came',
      presented.length === 0
        ? 'no certificate'
        : first === undefined
          ? 'what is no certificate'
          : printable(first.subject.text),
    ],
    ...about,
    ...path.map(({ position, spki, subject }, index) => [
      index === 0 ? 'path' : '',
      printable(`${spki}  ${position.padEnd(12)}  ${subject}${matched.has(spki) ? '  pinned' : ''}`),
    ]),
    ...(path.length === 0 ? [['path', `none of the ${judged?.anchors.size ?? 0} trust anchors vouches for it`]] : []),
    ...(judged?.paths ?? [])
      .slice(1)
      .map(({ code, certificates }) => [
        'also',
        printable(`${certificates.map(({ subject }) => subject).join(' < ')}  ${code ?? 'met the pins'}`),
      ]),
  ]
}

function aboutCertificate(certificate: Certificate, when: number): readonly (readonly string[])[] {
  const { issuer, serialNumber, notBefore, notAfter, keyInfo, sha256 } = certificate
  const ends = notAfter < when ? `ended ${fromNow(notAfter, when)}` : `ends ${fromNow(notAfter, when)}`
  return [
    ['names', printable(namesOf(certificate).join(', ')) || 'none'],
    ['issuer', printable(issuer.text)],
    ['valid', `${dateOf(notBefore)} until ${dateOf(notAfter)} (${ends}, seen from the handshake)`],
    ['key', keyText(keyInfo)],
    ['serial', Buffer.from(serialNumber).toString('hex')],
    ['sha256', sha256],
  ]
}

function surroundingRows(evidence: EvidenceBundle): readonly (readonly string[])[] {
  const { handshake, staple, environment, versions } = evidence
  const { address, addresses, proxy } = handshake
  return [
    ['address', printable(address ?? 'none')],
    ['resolved', addresses.map(printable).join(', ') || 'not by name'],
    ...(proxy === undefined ? [] : [['proxy', printable(proxy)]]),
    ['staple', staple === undefined ? 'none' : `${staple.length} octets`],
    ...environment.map(({ subject, effect }) => ['posture', `${printable(subject)}: ${printable(effect)}`]),
    ['by', `pinfetch ${versions.pinfetch}, Node ${versions.node}, OpenSSL ${versions.openssl}`].map(printable),
  ]
}

function todoRows({ handshake: { code } }: EvidenceBundle): readonly (readonly string[])[] {
  if (code === undefined || !isCode(code)) return [['do', 'Compare what came with what was expected.']]
  const { about, fix } = CODES[code]
  return [
    ['means', about],
    ['do', fix],
    ['more', `pinfetch explain ${code}`],
  ]
}

const isCode = (code: string): code is ErrorCode => Object.hasOwn(CODES, code)
const aboutOf = (code: string): string => (isCode(code) ? CODES[code].about : '')

function readable(der: Uint8Array): Certificate | undefined {
  try {
    return parseCertificate(der)
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}
