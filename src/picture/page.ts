import { createHash } from 'node:crypto'
import { headlineOf } from './layout.ts'
import { PAGE_STYLE } from './page-style.ts'
import { PICTURE_STYLE } from './style.ts'
import { drawing } from './svg.ts'
import { type HealthLine, healthTable, holeTable, type Matrix, matrixTable, timelineTable } from './tables.ts'
import { escaped, instantOf } from './text.ts'
import type { Timeline } from './timeline.ts'

export interface PageContent {
  readonly title: string
  readonly timeline: Timeline
  readonly health: readonly HealthLine[]
  /** What came of attacks. */
  readonly matrix?: Matrix
  /** How far ahead. Default: as far as there is something to see, 400 days at most. */
  readonly days?: number
}

export interface MatrixContent {
  readonly title: string
  /** What was run, and when. */
  readonly about: string
  readonly matrix: Matrix
}

/**
 * One page that stands alone: its policy allows it one style sheet, by its hash, and nothing else, so that no text in it can run or
 * ask for anything, whoever wrote it. Whatever the picture shows stands in a table as well. Pure.
 */
export function pageOf({ title, timeline, health, matrix, days }: PageContent): string {
  const sections: readonly Section[] = [
    { id: 'outages', title: 'Outages if nobody acts', body: holeTable(timeline) },
    { id: 'timeline', title: 'Timeline', body: `${drawings(timeline, days)}` },
    { id: 'health', title: 'Health', body: healthTable(health) },
    ...(matrix === undefined ? [] : [{ id: 'lab', title: 'Attack lab', body: matrixTable(matrix) }]),
    { id: 'dates', title: 'Every date', body: timelineTable(timeline) },
  ]
  const lead = `<p class="headline">${escaped(headlineOf(timeline))}</p>
<p class="soft">As of <time datetime="${instantOf(timeline.now)}">${instantOf(timeline.now)}</time></p>
<nav aria-label="Parts of this page"><ul>${sections.map(({ id, title }) => `<li><a href="#${id}">${title}</a></li>`).join('')}</ul></nav>`
  return shell(title, '<a class="skip" href="#outages">Skip to the outages</a>', lead, sections)
}

/** The matrix alone, under the same policy. Pure. */
export function matrixPage({ title, about, matrix }: MatrixContent): string {
  const lead = `<p class="soft">${escaped(about)}</p>`
  return shell(title, '', lead, [{ id: 'results', title: 'Results', body: matrixTable(matrix) }])
}

/** Everything around the sections. `before` and `lead` are HTML, the title is not. */
function shell(title: string, before: string, lead: string, sections: readonly Section[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body class="pf-page">
${before}
<header>
<h1>${escaped(title)}</h1>
${lead}
</header>
<main>
${sections.map(sectionOf).join('\n')}
</main>
</body>
</html>
`
}

interface Section {
  readonly id: string
  readonly title: string
  readonly body: string
}

const sectionOf = ({ id, title, body }: Section): string =>
  `<section aria-labelledby="${id}"><h2 id="${id}" tabindex="-1">${title}</h2>\n${body}</section>`

/** One for each size of screen: a scaled one could not be read. The style shows one of them. */
function drawings(timeline: Timeline, days: number | undefined): string {
  const drawn = SIZES.map(({ name, width }) => {
    const picture = drawing(timeline, { width, id: `timeline-${name}`, ...(days === undefined ? {} : { days }) })
    return `<div class="picture ${name}">${picture}</div>`
  })
  return `<a class="skip" href="#health">Skip the picture</a>${drawn.join('\n')}`
}

/** As `PAGE_STYLE` shows them. */
const SIZES = [
  { name: 'narrow', width: 340 },
  { name: 'middle', width: 680 },
  { name: 'wide', width: 1040 },
] as const
const STYLE = `${PICTURE_STYLE}${PAGE_STYLE}`
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`
