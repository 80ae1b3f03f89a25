import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import * as z from 'zod'
import { configFromFile } from '../client/config.ts'
import { type ResolvedManifest, resolveOptions } from '../client/options.ts'
import { parseStrictJson } from '../encoding/json.ts'
import { CODES } from '../errors/codes.ts'
import type { ManifestLocation, Mirror } from '../manifest/sources.ts'
import type { Facts, StapleFact } from '../picture/facts.ts'
import { pageOf } from '../picture/page.ts'
import { svgTimeline } from '../picture/svg.ts'
import type { HealthLine, Matrix } from '../picture/tables.ts'
import { terminalTimeline } from '../picture/terminal.ts'
import { holeText } from '../picture/text.ts'
import { type BarKind, type Timeline, timelineOf } from '../picture/timeline.ts'
import { lapsesOf } from '../publisher/lapses.ts'
import type { SeenChain } from '../publisher/seen.ts'
import type { LabReport } from '../testing/lab/report.ts'
import { anchorsFrom } from './chain.ts'
import { readBytes, writeWhole } from './files.ts'
import type { Io, Paint } from './io.ts'
import { labMatrix } from './lab-page.ts'
import { look, lookAtAll } from './look.ts'
import { instantOf } from './manifest-simulate.ts'
import { rootPath, withMirror } from './manifest-verify.ts'
import { runtimeAt, walkEvenExpired } from './monitor.ts'
import { contentIn } from './next-documents.ts'
import { type Failure, type Outcome, UsageError } from './outcome.ts'
import { factsOf, type Seen } from './report-facts.ts'
import { baseUrl, materialOf, openSource } from './source.ts'
import { dateOf, fromNow } from './text.ts'
import type { Walk } from './walk.ts'

export interface ReportOptions {
  readonly url?: string
  readonly root?: string
  readonly connect?: true
  readonly ca?: string
  readonly at?: string
  readonly lab?: string
  readonly html?: string
  readonly svg?: string
  readonly width?: string
  readonly days?: string
  readonly failOn?: 'warn'
}

/** What ends when, as a picture: in the terminal, as an image, as a page. */
export async function report(
  sources: readonly string[],
  options: ReportOptions,
  io: Io,
  paint: Paint,
): Promise<Outcome> {
  const now = instantOf(options.at, io.now())
  const width = number('--width', options.width, 60, 400) ?? columnsIn(io)
  const days = number('--days', options.days, 1, 3_650)
  const matrix = options.lab === undefined ? undefined : await readLab(options.lab)
  if (sources.length === 0 && options.url === undefined && matrix === undefined) {
    throw new UsageError(
      'nothing to report on',
      'pinfetch report pins   # a repository, a configuration, or https URLs',
    )
  }
  const { seen, health, warnings } = await lookAround(sources, options, now, io)
  const timeline = timelineOf(factsOf(seen, now), now)
  const span = days === undefined ? {} : { days }
  if (options.svg !== undefined) await writeWhole(options.svg, svgTimeline(timeline, span), { replace: true })
  if (options.html !== undefined) {
    const title = ['Report', ...new Set(seen.walks.map(({ root }) => root.payload.repo))].join(' · ')
    const page = pageOf({ title, timeline, health, ...span, ...(matrix === undefined ? {} : { matrix }) })
    await writeWhole(options.html, page, { replace: true })
  }
  const written = [options.svg, options.html].flatMap((path) => path ?? [])
  const failure = failureOf(timeline)
  return {
    data: dataOf(timeline, health, written),
    text: terminalTimeline(timeline, { width, unicode: isUnicode(io), paint: painter(paint), ...span }),
    notes: written.map((path) => `written  ${path}`),
    warnings: [
      ...timeline.holes.filter(({ level }) => level === 'soon').map((hole) => holeText(hole, now)),
      ...warnings,
    ],
    failOnWarnings: options.failOn === 'warn',
    ...(failure === undefined ? {} : { failure }),
  }
}

/** What is refused now is a check that did not pass. */
function failureOf({ holes, now }: Timeline): Failure | undefined {
  const [first] = holes
  if (first?.level !== 'now') return undefined
  return { code: first.code, message: holeText(first, now), hint: CODES[first.code].fix }
}

interface Found {
  readonly seen: Seen
  readonly health: readonly HealthLine[]
  readonly warnings: readonly string[]
}

async function lookAround(sources: readonly string[], options: ReportOptions, now: number, io: Io): Promise<Found> {
  const [walks, chains]: [Walk[], SeenChain[]] = [[], []]
  const staples = new Map<SeenChain, StapleFact>()
  const [pins, own]: [Seen['pins'][number][], Facts['own'][number][]] = [[], []]
  const [health, warnings]: [HealthLine[], string[]] = [[], []]
  const walkFrom = async (location: ManifestLocation, anchor: Uint8Array, path: string): Promise<void> => {
    const use = (mirror: Mirror) => walkEvenExpired(mirror, { anchor, path, now }, io)
    const walk = await withMirror(location, options.ca, runtimeAt(now), use)
    walks.push(walk)
    health.push(...healthOf(walk, now))
    warnings.push(...walk.warnings)
    if (options.connect !== true) return
    const hosts = contentIn(walk.manifest)?.hosts ?? []
    const looked = await lookAtAll({ hosts }, await anchorsFrom(options.ca), io)
    chains.push(...looked.chains)
    for (const [chain, staple] of looked.staples) staples.set(chain, staple)
    warnings.push(...looked.warnings)
  }
  if (options.url !== undefined) {
    const path = rootPath(options)
    await walkFrom({ kind: 'https', url: baseUrl(options.url) }, await readBytes(path), path)
  }
  for (const text of sources) {
    if (await isFolder(text)) {
      const path = rootPath({ ...options, dir: text })
      await walkFrom({ kind: 'directory', path: resolve(text) }, await readBytes(path), path)
      continue
    }
    const source = await openSource(text, io)
    if (source.kind === 'host') {
      const { chain, stapled, judgement } = await look(
        source.origin,
        { anchors: await anchorsFrom(options.ca), sni: undefined },
        io,
      )
      if (chain !== undefined) chains.push(chain)
      if (chain !== undefined && stapled !== undefined) staples.set(chain, stapled)
      const problem = judgement.findings[0]
      const subject = source.origin.text
      if (problem === undefined) health.push({ severity: 'ok', subject, message: 'its path verifies' })
      else {
        health.push({ severity: 'error', subject, message: problem.message, fix: CODES[problem.code].fix })
        warnings.push(`${subject}: ${problem.message} (${problem.code})`)
      }
      continue
    }
    const config = configFromFile(text)
    const resolved = resolveOptions(config)
    pins.push(...resolved.pins)
    own.push(...(await ofConfig(config, io)))
    for (const { locations, root } of resolved.manifests satisfies readonly ResolvedManifest[]) {
      const [location] = locations
      if (location !== undefined) await walkFrom(location, root, `${text}: manifest.root`)
    }
  }
  return { seen: { walks, pins, chains, staples, own }, health, warnings }
}

/** The client's own certificate, where a file has it. */
async function ofConfig({ certificate }: ReturnType<typeof configFromFile>, io: Io): Promise<Facts['own']> {
  if (certificate === undefined || !('certFile' in certificate)) return []
  const material = materialOf(certificate.certFile, await readBytes(certificate.certFile), io)
  const first = material.find(({ kind }) => kind === 'certificate')
  if (first?.kind !== 'certificate') return []
  const { subject, notBefore, notAfter } = first.certificate
  const effect = 'servers that ask for it refuse connections'
  const outage = { effect, code: 'ERR_TLS_CLIENT_CERTIFICATE_REJECTED' } as const
  return [{ what: 'client certificate', label: subject.text, from: notBefore, until: notAfter, outage }]
}

function healthOf(walk: Walk, now: number): readonly HealthLine[] {
  return lapsesOf(walk, [], now).map(({ what, subject, at, level, effect }) => ({
    severity: ({ ok: 'ok', warn: 'warning', lapsed: 'error' } as const)[level],
    subject: what === subject ? what : `${what} of ${subject}`,
    message: `${level === 'lapsed' ? 'ended' : 'until'} ${dateOf(at)} (${fromNow(at, now)}); then ${effect}`,
  }))
}

/** What `pinfetch lab --json` wrote. @throws UsageError */
async function readLab(path: string): Promise<Matrix> {
  const json = parseStrictJson(await readBytes(path))
  const answer = LabAnswer.safeParse(json.ok ? json.value : undefined)
  if (answer.success) return labMatrix(answer.data.data as unknown as LabReport)
  throw new UsageError(`${path}: no report of the lab`, 'pinfetch lab --json > lab.json')
}

function dataOf(timeline: Timeline, health: readonly HealthLine[], written: readonly string[]) {
  const instant = (at: number): string | null => (Number.isFinite(at) ? dateOf(at) : null)
  const between = ({ from, until }: { from: number; until: number }) => ({ from: instant(from), until: instant(until) })
  return {
    at: dateOf(timeline.now),
    holes: timeline.holes.map(({ subject, why, code, level, ...window }) => ({
      subject,
      level,
      ...between(window),
      why,
      code,
    })),
    groups: timeline.groups.map(({ title, rows }) => ({
      title,
      rows: rows.map(({ what, label, bars }) => ({
        what,
        label,
        bars: bars.map(({ kind, ...window }) => ({ kind, ...between(window) })),
      })),
    })),
    health,
    written,
  }
}

function painter(paint: Paint) {
  return (kind: BarKind | 'now' | 'title' | 'faint', text: string): string => {
    if (kind === 'hole' || kind === 'denied' || kind === 'now') return paint.red(text)
    if (kind === 'passes' || kind === 'overlap') return paint.green(text)
    if (kind === 'certificate') return paint.blue(text)
    if (kind === 'document') return paint.magenta(text)
    if (kind === 'title') return paint.bold(text)
    return kind === 'active' ? text : paint.dim(text)
  }
}

function number(name: string, text: string | undefined, low: number, high: number): number | undefined {
  if (text === undefined) return undefined
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN
  if (value >= low && value <= high) return value
  throw new UsageError(`${name} ${JSON.stringify(text)}: not a number from ${low} to ${high}`, `${name} ${low * 2}`)
}

function columnsIn({ env, stdout }: Io): number {
  const columns = Number(env['COLUMNS'])
  return stdout.isTTY === true && columns >= 60 && columns <= 400 ? Math.floor(columns) : 100
}

function isUnicode({ env, stdout }: Io): boolean {
  return stdout.isTTY === true && /utf-?8/i.test(env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '')
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}

/** As much of it as the matrix shows. */
const LabAnswer = z.looseObject({
  schema: z.literal('pinfetch/lab/v1'),
  data: z.looseObject({
    contenders: z.array(z.string()).max(20),
    attacks: z
      .array(
        z.looseObject({
          id: z.string(),
          group: z.string(),
          title: z.string(),
          results: z.array(
            z.looseObject({
              outcome: z.enum(['refused', 'noticed', 'unharmed', 'lost', 'not-run']),
              code: z.string().nullable(),
              reason: z.string().nullable(),
            }),
          ),
        }),
      )
      .max(1_000),
  }),
})
