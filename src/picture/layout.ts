import { type Axis, axisOf, placeOf } from './axis.ts'
import { KINDS, MEANING } from './kinds.ts'
import { cut, dayOf, distance, plain } from './text.ts'
import type { Bar, BarKind, Row, Timeline } from './timeline.ts'

/** Where everything of a drawing stands, in units of its width. Texts are in a monospaced font, so their boxes are known. */
export interface Layout {
  readonly width: number
  readonly height: number
  readonly headline: Text
  readonly plot: { readonly x: number; readonly width: number }
  /** Where lines through time are drawn: nowhere that a label stands. */
  readonly lanes: readonly { readonly top: number; readonly bottom: number }[]
  readonly now: { readonly x: number; readonly label: Text }
  readonly ticks: readonly { readonly x: number; readonly label: Text | undefined }[]
  readonly groups: readonly { readonly title: Text; readonly rows: readonly RowLayout[] }[]
  readonly legend: readonly { readonly kind: BarKind; readonly box: Box; readonly label: Text }[]
}

export interface Text {
  /** Left end of the base line. */
  readonly x: number
  readonly y: number
  readonly text: string
}

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface RowLayout {
  readonly row: Row
  readonly band: Box
  readonly lane: { readonly top: number; readonly bottom: number }
  readonly what: Text
  readonly label: Text
  readonly end: Text
  readonly bars: readonly (Box & { readonly kind: BarKind; readonly label: Text | undefined })[]
}

/**
 * Labels beside the bars where there is room, else above them. Pure.
 *
 * @param width 320 at least.
 * @param days How far ahead. Default: as far as there is something to see.
 */
export function layoutOf(timeline: Timeline, width: number, days?: number): Layout {
  const isWide = width >= WIDE
  const labels = isWide ? Math.round(Math.min(width * 0.38, 400)) : 0
  const ends = isWide ? 9 * CHAR : 0
  const plotX = MARGIN + labels
  const plotWidth = width - plotX - MARGIN - ends
  const axis = axisOf(timeline, Math.floor(plotWidth / 92), days)
  const inner = width - 2 * MARGIN
  const sheet: Sheet = { now: timeline.now, axis, isWide, plotX, plotWidth, width }
  let y = TOP
  const groups = timeline.groups.map(({ title, rows }) => {
    const heading = { x: MARGIN, y: y + 24, text: cut(plain(title), chars(inner, TITLE_CHAR)) }
    y += 34
    const placed = rows.map((row) => {
      const layout = placeRow(row, y, sheet)
      y += layout.band.height
      return layout
    })
    return { title: heading, rows: placed }
  })
  const bottom = y + 6
  const { items, height } = placeLegend(timeline, bottom + 16, width)
  const x = plotX + placeOf(timeline.now, axis) * plotWidth
  const label = `now ${dayOf(timeline.now)}`
  return {
    width,
    height: bottom + 16 + height + MARGIN,
    headline: { x: MARGIN, y: 24, text: cut(headlineOf(timeline), chars(inner, TITLE_CHAR)) },
    plot: { x: plotX, width: plotWidth },
    lanes: isWide ? [{ top: TOP - 8, bottom }] : groups.flatMap(({ rows }) => rows.map(({ lane }) => lane)),
    now: { x, label: { x: clamp(x - 3 * CHAR, MARGIN, width - MARGIN - label.length * CHAR), y: 48, text: label } },
    ticks: placeTicks(sheet),
    groups,
    legend: items,
  }
}

/** What one has to know if one reads nothing else. */
export function headlineOf({ now, holes }: Timeline): string {
  const [first] = holes
  if (first === undefined) return 'No outage in sight'
  if (first.level === 'now') {
    const count = holes.filter(({ level }) => level === 'now').length
    return `${count === 1 ? 'An outage' : `${count} outages`} now: ${plain(first.subject)}`
  }
  return `Next outage if nobody acts: ${distance(first.from, now)}, ${plain(first.subject)}`
}

interface Sheet {
  readonly now: number
  readonly axis: Axis
  readonly isWide: boolean
  readonly plotX: number
  readonly plotWidth: number
  readonly width: number
}

function placeRow(row: Row, y: number, { now, axis, isWide, plotX, plotWidth, width }: Sheet): RowLayout {
  const height = isWide ? 24 : 42
  const [textY, barY] = isWide ? [y + 16, y + 6] : [y + 15, y + 23]
  const hole = row.bars.find(({ kind }) => kind === 'hole')
  const end = distance(hole?.from ?? row.bars.at(-1)?.until ?? Infinity, now)
  const labelX = MARGIN + WHAT_CHARS * CHAR
  const labelEnd = isWide ? plotX - 12 : width - MARGIN - (end.length + 1) * CHAR
  const bars = row.bars.flatMap((bar) => {
    if (bar.until <= axis.from || bar.from >= axis.until) return []
    const [from, until] = [bar.from, bar.until].map((at) => plotX + placeOf(at, axis) * plotWidth)
    const x = Math.min(from ?? plotX, plotX + plotWidth - MIN_BAR)
    const box = { x, y: barY, width: Math.max(MIN_BAR, (until ?? x) - x), height: BAR }
    return [{ ...box, kind: bar.kind, label: labelIn(bar, box) }]
  })
  return {
    row,
    band: { x: 4, y, width: width - 8, height },
    lane: { top: barY - 3, bottom: barY + BAR + 3 },
    what: { x: MARGIN, y: textY, text: cut(plain(row.what), WHAT_CHARS - 1) },
    label: { x: labelX, y: textY, text: cut(plain(row.label), chars(labelEnd - labelX, CHAR)) },
    end: { x: width - MARGIN - end.length * CHAR, y: textY, text: end },
    bars,
  }
}

/** A hole says what it is, where there is room. */
function labelIn({ kind }: Bar, { x, y, width }: Box): Text | undefined {
  if (kind !== 'hole') return undefined
  const text = ['outage if nobody acts', 'outage'].find(({ length }) => (length + 2) * SMALL_CHAR < width)
  return text === undefined ? undefined : { x: x + (width - text.length * SMALL_CHAR) / 2, y: y + 9.5, text }
}

/** Every date has its line; its text only where it runs into no other and stays on the sheet. */
function placeTicks({ axis, plotX, plotWidth, width }: Sheet): Layout['ticks'] {
  let free = 4 // nothing else stands in that line
  return axis.ticks.map(({ at, text }) => {
    const x = plotX + placeOf(at, axis) * plotWidth
    const start = x - (text.length * CHAR) / 2
    if (start < free || start + text.length * CHAR > width - MARGIN) return { x, label: undefined }
    free = start + (text.length + 1) * CHAR
    return { x, label: { x: start, y: 66, text } }
  })
}

function placeLegend({ groups }: Timeline, top: number, width: number) {
  const used = new Set(groups.flatMap(({ rows }) => rows.flatMap(({ bars }) => bars.map(({ kind }) => kind))))
  let [x, y] = [MARGIN, top]
  const items = KINDS.filter((kind) => used.has(kind)).map((kind) => {
    const text = MEANING[kind]
    const taken = SWATCH + 6 + text.length * CHAR
    if (x + taken > width - MARGIN) [x, y] = [MARGIN, y + 22]
    const item = { kind, box: { x, y, width: SWATCH, height: BAR }, label: { x: x + SWATCH + 6, y: y + 10, text } }
    x += taken + 18
    return item
  })
  return { items, height: y - top + BAR }
}

const chars = (room: number, size: number): number => Math.max(0, Math.floor(room / size))
const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(value, high))

const WIDE = 620
const MARGIN = 16
const TOP = 80
const BAR = 12
const MIN_BAR = 2
const SWATCH = 24
const WHAT_CHARS = 14
/** Advance widths of the fonts, a little wider than any common monospaced font has them. */
const CHAR = 7.3 // 12 px
const TITLE_CHAR = 8 // 13 px, bold
const SMALL_CHAR = 6.1 // 10 px
