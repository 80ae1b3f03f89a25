import { type Box, headlineOf, layoutOf, type RowLayout, type Text } from './layout.ts'
import { PICTURE_STYLE } from './style.ts'
import { escaped, holeText, instantOf } from './text.ts'
import type { Bar, BarKind, Row, Timeline } from './timeline.ts'

export interface SvgOptions {
  /** Default 980; 320 at least. Below 620 labels stand above their bars. */
  readonly width?: number
  /** How far ahead. Default: as far as there is something to see, 400 days at most. */
  readonly days?: number
}

/** The timeline as an image of its own: it asks for nothing, runs nothing, and follows light and dark. Pure. */
export function svgTimeline(timeline: Timeline, options: SvgOptions = {}): string {
  return drawing(timeline, { ...options, id: 'timeline', style: PICTURE_STYLE })
}

/**
 * The same, to stand in a page that brings the style.
 *
 * @param options.id Tells its names from those of other drawings in the page.
 */
export function drawing(
  timeline: Timeline,
  { width = 980, days, id, style }: SvgOptions & { readonly id: string; readonly style?: string },
): string {
  const layout = layoutOf(timeline, width, days)
  const { height, headline, lanes, now, ticks, groups, legend } = layout
  return `<svg class="pf" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${n(width)} ${n(height)}" width="${n(width)}" height="${n(height)}" role="group" aria-labelledby="${id}-title ${id}-desc">
<title id="${id}-title">${escaped(headlineOf(timeline))}</title>
<desc id="${id}-desc">${escaped(describe(timeline))}</desc>
${style === undefined ? '' : `<style>${style}</style>\n`}<defs>${patterns(id)}</defs>
<rect class="paper" width="${n(width)}" height="${n(height)}"/>
${text('headline', headline)}
${ticks.map(({ x }) => lanes.map((lane) => line('grid', x, lane)).join('')).join('')}
${ticks.map(({ label }) => (label === undefined ? '' : text('tick', label))).join('')}
${groups.map((group) => `<g>${text('title', group.title)}\n${group.rows.map((row) => drawRow(row, id, timeline.now)).join('\n')}</g>`).join('\n')}
${lanes.map((lane) => line('now-line', now.x, lane)).join('')}
${text('now', now.label)}
${legend.map(({ kind, box, label }) => `<g class="legend">${rect(`bar b-${kind}`, box, fillOf(kind, id))}${text('key', label)}</g>`).join('\n')}
</svg>
`
}

function drawRow({ row, band, what, label, end, bars }: RowLayout, id: string, now: number): string {
  const said = escaped(sayRow(row, now))
  const drawn = bars.map(
    (bar) =>
      `${rect(`bar b-${bar.kind}`, bar, fillOf(bar.kind, id))}${bar.label === undefined ? '' : inBar(bar.label)}`,
  )
  return `<g class="row" tabindex="0" role="img" aria-label="${said}"><title>${said}</title>${rect('band', band)}${text('what', what)}${text('label', label)}${text('end', end)}${drawn.join('')}</g>`
}

/** A row in words: what a pointer or a screen reader gets. */
function sayRow({ what, label, bars }: Row, now: number): string {
  const said = bars.map((bar) => `${KIND_WORDS[bar.kind] ?? what} ${sayBar(bar, now)}`)
  return `${what} ${label}: ${said.length === 0 ? 'never' : said.join('; ')}`
}

export function sayBar({ from, until }: Bar, now: number): string {
  const begin = from === -Infinity ? '' : from === now ? 'from now' : `from ${instantOf(from)}`
  const end = until === Infinity ? 'without an end' : `until ${instantOf(until)}`
  return [begin, end].filter((part) => part !== '').join(' ')
}

const KIND_WORDS: Partial<Readonly<Record<BarKind, string>>> = {
  passes: 'pass, one key counts,',
  overlap: 'pass, several keys count,',
  hole: 'outage if nobody acts',
}

function describe({ holes, now }: Timeline): string {
  const shown = holes.slice(0, 20).map((hole) => holeText(hole, now))
  return [`As of ${instantOf(now)}.`, ...shown].join(' ')
}

/** A word on a clear ground, so that the hatching does not run through it. */
function inBar(label: Text): string {
  const ground: Box = { x: label.x - 3, y: label.y - 8.5, width: label.text.length * 6.1 + 6, height: 10 }
  return `${rect('behind', ground)}${text('in-bar', label)}`
}

function text(kind: string, { x, y, text: content }: Text): string {
  return `<text class="${kind}" x="${n(x)}" y="${n(y)}">${escaped(content)}</text>`
}

function rect(kind: string, { x, y, width, height }: Box, fill?: string): string {
  const filled = fill === undefined ? '' : ` fill="${fill}"`
  return `<rect class="${kind}" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}"${filled}/>`
}

const line = (kind: string, x: number, { top, bottom }: { readonly top: number; readonly bottom: number }): string =>
  `<line class="${kind}" x1="${n(x)}" x2="${n(x)}" y1="${n(top)}" y2="${n(bottom)}"/>`

const fillOf = (kind: BarKind, id: string): string => `url(#${id}-${kind})`

/** Hundredths are enough; never `NaN`, nor an exponent that a reader of XML might not know. */
const n = (value: number): string => String(Math.round(value * 100) / 100)

function patterns(id: string): string {
  return (Object.keys(PATTERNS) as BarKind[])
    .map((kind) => {
      const [size, content] = PATTERNS[kind]
      return `<pattern id="${id}-${kind}" width="${size}" height="${size}" patternUnits="userSpaceOnUse">${content}</pattern>`
    })
    .join('')
}

const whole = (size: number, fill: string): string => `<rect class="${fill}" width="${size}" height="${size}"/>`

const PATTERNS: Readonly<Record<BarKind, readonly [size: number, content: string]>> = {
  passes: [8, whole(8, 'f-ok')],
  overlap: [8, `${whole(8, 'f-ok')}<path class="s-paper" stroke-width="1.4" d="M-2 2L2 -2M0 8L8 0M6 10L10 6"/>`],
  hole: [
    8,
    `${whole(8, 'f-hole')}<path class="s-hole" stroke-width="1" d="M0 8L8 0M-2 2L2 -2M6 10L10 6M0 0L8 8M-2 6L2 10M6 -2L10 2"/>`,
  ],
  certificate: [8, whole(8, 'f-certificate')],
  active: [8, whole(8, 'f-pin')],
  backup: [6, `${whole(6, 'paper')}<path class="s-spare" stroke-width="1.6" d="M1.5 0V6"/>`],
  staged: [8, whole(8, 'paper')],
  denied: [8, `${whole(8, 'paper')}<path class="s-hole" stroke-width="1.2" d="M1 1L7 7M7 1L1 7"/>`],
  retired: [5, `${whole(5, 'paper')}<circle class="f-gone" cx="2" cy="2" r="0.9"/>`],
  document: [8, whole(8, 'f-document')],
  evidence: [4, `${whole(4, 'paper')}<path class="s-evidence" stroke-width="1.4" d="M0 2H4"/>`],
}
