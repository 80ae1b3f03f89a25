import { resolveOptions } from '../client/options.ts'
import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { CODES } from '../errors/codes.ts'
import { createLookup } from '../manifest/lookup.ts'
import type { HostEntry } from '../manifest/schema.ts'
import { type Runtime, toUnixMs } from '../ports/runtime.ts'
import { systemRuntime } from '../ports/system.ts'
import { deadlinesOf } from '../publisher/deadlines.ts'
import { type ClientVerdict, findingsOf, judgeAsClient, viewOfWalk } from './as-client.ts'
import { anchorsFrom } from './chain.ts'
import { deadlineData, deadlineRows } from './deadlines.ts'
import { readBytes } from './files.ts'
import type { Io, Paint } from './io.ts'
import { instantOf } from './manifest-simulate.ts'
import { locationOf, walkAsStranger, withMirror } from './manifest-verify.ts'
import { type Failure, type Outcome, UsageError } from './outcome.ts'
import { dateOf, shownPath, table } from './text.ts'
import type { Walk } from './walk.ts'

export interface VerifyUrlOptions {
  readonly manifest: string
  readonly root: string
  readonly ca?: string
  readonly explain?: boolean
  readonly at?: string
}

/** Reads the repository and connects to the host as a client does, and says what the client would say. Sends no request. */
export async function verifyUrl(text: string, options: VerifyUrlOptions, io: Io, paint: Paint): Promise<Outcome> {
  const origin = originOf(text)
  const anchorBytes = await readBytes(options.root)
  const now = instantOf(options.at, io.now())
  const runtime: Runtime = { ...systemRuntime, clock: { ...systemRuntime.clock, now: () => toUnixMs(now) } }
  const walk = await withMirror(await locationOf(options.manifest), options.ca, runtime, (mirror) =>
    walkAsStranger(mirror, anchorBytes, options.root, runtime, io.signal),
  )
  const ca = options.ca === undefined ? undefined : Buffer.from(await readBytes(options.ca)).toString('latin1')
  await anchorsFrom(options.ca) // its own word for a file that holds no roots
  const defaults = resolveOptions({
    manifest: { url: '.', root: walk.root.bytes, memoryOnly: true },
    runtime,
    ...(ca === undefined ? {} : { anchors: ca }),
  })
  const view = viewOfWalk(walk, runtime.clock.now())
  const answer = await judgeAsClient(origin, defaults, () => view)
  return report({ origin, walk, answer, now, isExplained: options.explain === true, text, options }, paint)
}

interface Judged {
  readonly origin: CanonicalOrigin
  readonly walk: Walk
  readonly answer: ClientVerdict
  readonly now: number
  readonly isExplained: boolean
  readonly text: string
  readonly options: VerifyUrlOptions
}

function report(judged: Judged, paint: Paint): Outcome {
  const { origin, walk, answer, now, isExplained } = judged
  const { root, status, manifest } = walk
  const entry = createLookup(manifest.hosts)(origin.host, origin.port)
  const keys = new Set(answer.chain.map(({ spki }) => spki))
  const pins = (entry?.pins ?? []).map(({ spki, label }) => ({ spki, matched: keys.has(spki), label: label ?? null }))
  const findings = answer.kind === 'trusted' ? [] : findingsOf(answer.error)
  const until = deadlinesOf(root, status, manifest)
  const failure = failureOf(answer)
  const matched = pins.filter((pin) => pin.matched).length
  const verdict =
    answer.kind === 'trusted'
      ? `${paint.green('trusted')}  ${origin.text}  manifest ${manifest.version}, ${matched} of ${pins.length} pins matched`
      : `${paint.red('refused')}  ${origin.text}  manifest ${manifest.version}`
  const detail = isExplained || answer.kind === 'refused'
  return {
    data: {
      url: `https://${origin.text}/`,
      at: dateOf(now),
      trusted: answer.kind === 'trusted',
      manifestVersion: manifest.version,
      entry: entry === undefined ? null : { host: entry.host, mode: entry.mode },
      pins,
      chain: answer.chain.map((one) => ({ ...one, notAfter: dateOf(one.notAfter) })),
      findings,
      protocol: answer.kind === 'trusted' ? answer.protocol : null,
      deadlines: deadlineData(until),
    },
    text: [
      verdict,
      ...(detail
        ? table([
            ...findings.map(({ code, message }) => ['finding', `${code}  ${message}`]),
            ...(entry === undefined ? [] : [['entry', `${entry.host}  ${entry.mode}`]]),
            ...pins.map(({ spki, matched: isMatch, label }) => [
              'pin',
              `${spki}  ${isMatch ? 'on the path' : 'not on the path'}${label === null ? '' : `  ${label}`}`,
            ]),
            ...answer.chain.map(({ position, spki, subject }) => ['path', `${spki}  ${position}  ${subject}`]),
          ])
        : []),
      ...(isExplained ? table(deadlineRows(until, now)) : []),
    ],
    warnings: walk.warnings,
    next: nextStep(judged, entry),
    ...(failure === undefined ? {} : { failure }),
  }
}

function nextStep({ answer, options, origin, text, isExplained }: Judged, entry: HostEntry | undefined): string {
  if (answer.kind === 'trusted') {
    return `createClient({ manifest: { url: ${JSON.stringify(options.manifest)}, root: ${JSON.stringify(shownPath(options.root))} } })`
  }
  if (entry === undefined) return `pinfetch manifest add-host ${origin.host} --partner --dir <dir>`
  return isExplained ? `pinfetch inspect ${text}` : `pinfetch verify ${text} … --explain`
}

function failureOf(answer: ClientVerdict): Failure | undefined {
  if (answer.kind === 'trusted') return undefined
  const { code, message } = answer.error
  return { code, message: firstLine(message), hint: CODES[code].fix }
}

const firstLine = (text: string): string => text.split('\n')[0] ?? text

/** Of what the application requests, or a host. @throws UsageError */
export function originOf(text: string): CanonicalOrigin {
  const href = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}/`
  const url = URL.canParse(href) ? new URL(href) : undefined
  const origin = url?.protocol === 'https:' ? canonicalOrigin(url) : undefined
  if (origin !== undefined) return origin
  throw new UsageError(
    `${JSON.stringify(text)}: not an https URL`,
    'Give what the application requests: https://api.example.com',
  )
}
