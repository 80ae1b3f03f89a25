import { type Axis, axisOf, placeOf } from './axis.ts'
import { KINDS, MEANING } from './kinds.ts'
import { cut, distance, holeText, plain } from './text.ts'
import type { Bar, BarKind, Group, Row, Timeline } from './timeline.ts'

export interface TerminalOptions {
  /** Columns: 60 at least. */
  readonly width: number
  /** Default false: ASCII alone. */
  readonly unicode?: boolean
  /** Default: no colour. Every kind of bar has a character of its own, so nothing is said by colour alone. */
  readonly paint?: (kind: BarKind | 'now' | 'title' | 'faint', text: string) => string
  /** How far ahead. Default: as far as there is something to see, 400 days at most. */
  readonly days?: number
}

/** Lines of exactly the width or less, the picture first, then every hole in words. Pure. */
export function terminalTimeline(timeline: Timeline, options: TerminalOptions): readonly string[] {
  const { unicode = false, paint = (_, text) => text, days } = options
  const width = Math.max(options.width, MIN_WIDTH)
  const label = Math.min(44, Math.floor(width * 0.42))
  const plot = width - label - END_WIDTH - 2
  const axis = axisOf(timeline, Math.floor(plot / 12), days)
  const page: Page = { now: timeline.now, axis, label, plot, width, paint, glyphs: unicode ? UNICODE : ASCII }
  return [
    scale(page),
    ...timeline.groups.flatMap((group) => drawGroup(group, page)),
    ...(timeline.hiddenHosts === 0 ? [] : [`and ${timeline.hiddenHosts} more hosts, which end later`]),
    '',
    ...wrap(legend(timeline, page), width, paint),
    '',
    ...holes(timeline, page),
  ]
}

interface Page {
  readonly now: number
  readonly axis: Axis
  readonly label: number
  readonly plot: number
  readonly width: number
  readonly paint: NonNullable<TerminalOptions['paint']>
  readonly glyphs: Glyphs
}

type Glyphs = Readonly<Record<BarKind | 'now', string>>

/** Dates where they are, as many as fit. */
function scale({ axis, label, plot, paint }: Page): string {
  let line = ''
  for (const { at, text } of axis.ticks) {
    const column = columnOf(at, axis, plot)
    if (column < line.length + (line === '' ? 0 : 1) || column + text.length > plot) continue
    line = line.padEnd(column) + text
  }
  return paint('faint', `${' '.repeat(label + 1)}${line}`.trimEnd())
}

function drawGroup({ title, rows }: Group, page: Page): readonly string[] {
  return [page.paint('title', cut(plain(title), page.width)), ...rows.map((row) => drawRow(row, page))]
}

function drawRow({ what, label, bars }: Row, page: Page): string {
  const { now, axis, plot, paint, glyphs } = page
  const cells: { kind: BarKind | 'now' | undefined; text: string }[] = Array.from({ length: plot }, () => ({
    kind: undefined,
    text: ' ',
  }))
  for (const { kind, from, until } of holesLast(bars)) {
    if (until <= axis.from || from >= axis.until) continue
    const first = columnOf(from, axis, plot)
    const last = Math.max(first, Math.ceil(placeOf(until, axis) * plot) - 1)
    for (let column = first; column <= last; column += 1) cells[column] = { kind, text: glyphs[kind] }
  }
  const nowColumn = columnOf(now, axis, plot)
  if (cells[nowColumn]?.kind !== 'hole') cells[nowColumn] = { kind: 'now', text: glyphs.now }
  const drawn = cells.map(({ kind, text }) => (kind === undefined ? text : paint(kind, text))).join('')
  const name = cut(plain(`  ${what.padEnd(WHAT_WIDTH)} ${label}`), page.label).padEnd(page.label)
  return `${name} ${drawn} ${endOf(bars, now)}`.trimEnd()
}

/** Where a column is shared, the hole is what one has to see. */
const holesLast = (bars: readonly Bar[]): readonly Bar[] =>
  [...bars].sort((a, b) => Number(a.kind === 'hole') - Number(b.kind === 'hole'))

function endOf(bars: readonly Bar[], now: number): string {
  const hole = bars.find(({ kind }) => kind === 'hole')
  const end = hole?.from ?? bars.at(-1)?.until
  return end === undefined ? '' : cut(distance(end, now), END_WIDTH)
}

const columnOf = (at: number, axis: Axis, plot: number): number =>
  Math.min(plot - 1, Math.floor(placeOf(at, axis) * plot))

function legend({ groups }: Timeline, { glyphs }: Page): readonly { kind: BarKind | 'now'; text: string }[] {
  const used = new Set(groups.flatMap(({ rows }) => rows.flatMap(({ bars }) => bars.map(({ kind }) => kind))))
  const kinds: readonly (BarKind | 'now')[] = ['now', ...KINDS.filter((kind) => used.has(kind))]
  return kinds.map((kind) => ({ kind, text: `${glyphs[kind]} ${MEANING[kind]}` }))
}

function wrap(
  entries: ReturnType<typeof legend>,
  width: number,
  paint: NonNullable<TerminalOptions['paint']>,
): readonly string[] {
  const lines: { text: string; length: number }[] = []
  for (const { kind, text } of entries) {
    const last = lines.at(-1)
    const painted = `${paint(kind, text.slice(0, 1))}${text.slice(1)}`
    if (last !== undefined && last.length + 3 + text.length <= width) {
      last.text += `   ${painted}`
      last.length += 3 + text.length
    } else lines.push({ text: painted, length: text.length })
  }
  return lines.map(({ text }) => text)
}

function holes({ holes, now }: Timeline, { paint }: Page): readonly string[] {
  if (holes.length === 0) return ['no outage in sight']
  const [soon, later] = [holes.filter(({ level }) => level !== 'later'), holes.filter(({ level }) => level === 'later')]
  return [
    paint('title', 'outages if nobody acts'),
    ...soon.map((hole) => `  ${paint('hole', hole.level)}  ${holeText(hole, now)}`),
    ...later.slice(0, MAX_LATER).map((hole) => `  later  ${holeText(hole, now)}`),
    ...(later.length > MAX_LATER ? [`  and ${later.length - MAX_LATER} more, later`] : []),
  ]
}

const MIN_WIDTH = 60
const END_WIDTH = 8
const WHAT_WIDTH = 12
const MAX_LATER = 10

const ASCII: Glyphs = {
  now: '|',
  passes: '=',
  overlap: '#',
  hole: '!',
  certificate: 'C',
  active: 'A',
  backup: 'b',
  staged: 's',
  retired: '.',
  denied: 'x',
  document: 'D',
  evidence: '~',
}
const UNICODE: Glyphs = {
  now: '│',
  passes: '━',
  overlap: '▓',
  hole: '╳',
  certificate: '█',
  active: '▬',
  backup: '▭',
  staged: '┄',
  retired: '·',
  denied: '×',
  document: '▒',
  evidence: '≈',
}
