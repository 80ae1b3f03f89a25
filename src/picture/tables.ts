import { sayBar } from './svg.ts'
import { distance, escaped, instantOf } from './text.ts'
import type { Hole, Timeline } from './timeline.ts'

/** One thing that was looked at. */
export interface HealthLine {
  readonly severity: 'ok' | 'info' | 'warning' | 'error'
  readonly subject: string
  readonly message: string
  /** What to do. */
  readonly fix?: string
}

/** Who stood what: one row an attack, one column a client. */
export interface Matrix {
  readonly columns: readonly string[]
  readonly rows: readonly { readonly id: string; readonly title: string; readonly group: string }[]
  /** One list for each row, in the order of the columns. */
  readonly cells: readonly (readonly Cell[])[]
}

export interface Cell {
  readonly text: string
  readonly status: 'good' | 'bad' | 'neutral'
}

/** Tables of the page, with a row that the keyboard reaches for each thing. */
export function holeTable({ holes, now }: Timeline): string {
  if (holes.length === 0) return '<p class="good">None in sight.</p>'
  return table(
    'What is refused, and from when on',
    ['When', 'Begins', 'What', 'Why', 'Code'],
    [
      ...holes.map((hole) => [
        cell(`mark ${LEVEL_CLASS[hole.level]}`, LEVEL_TEXT[hole.level]),
        dated(hole, now),
        head('name', hole.subject),
        cell('', hole.why),
        cell('code', hole.code),
      ]),
    ],
  )
}

export function healthTable(lines: readonly HealthLine[]): string {
  if (lines.length === 0) return '<p class="soft">Nothing was looked at.</p>'
  const rows = [...lines]
    .sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity))
    .map(({ severity, subject, message, fix }) => [
      cell(`mark ${SEVERITY_CLASS[severity]}`, SEVERITY_TEXT[severity]),
      head('name', subject),
      cell('name', message),
      cell('name', fix ?? ''),
    ])
  return table('What was looked at, the worst first', ['State', 'Subject', 'Found', 'What to do'], rows)
}

export function timelineTable({ groups, now }: Timeline): string {
  const rows = groups.flatMap(({ title, rows }) =>
    rows.flatMap(({ what, label, bars }) =>
      bars.map((bar) => [
        head('name', title),
        cell('', bar.kind === 'hole' ? `${what}: outage` : what),
        cell('name code', label),
        cell('date', sayBar(bar, now)),
      ]),
    ),
  )
  return table('The picture, as a table', ['Group', 'What', 'Which', 'When'], rows)
}

export function matrixTable({ columns, rows, cells }: Matrix): string {
  const body = rows.map(({ id, title, group }, index) => [
    head('id', id),
    cell('name', title),
    cell('', group),
    ...columns.map((_, column) => markOf(cells[index]?.[column])),
  ])
  return table('What each client did under attack', ['Attack', 'What the attacker does', 'Group', ...columns], body)
}

function markOf(found: Cell | undefined): string {
  const { text, status } = found ?? { text: 'not run', status: 'neutral' }
  return cell(`${STATUS_CLASS[status]} name`.trim(), `${STATUS_TEXT[status]} ${text}`)
}

function table(caption: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const heads = columns.map((column) => `<th scope="col">${escaped(column)}</th>`).join('')
  const body = rows.map((cells) => `<tr tabindex="0">${cells.join('')}</tr>`).join('\n')
  return `<div class="scroll" role="region" aria-label="${escaped(caption)}" tabindex="0"><table><caption>${escaped(caption)}</caption><thead><tr>${heads}</tr></thead><tbody>
${body}
</tbody></table></div>`
}

const head = (kind: string, text: string): string => `<th scope="row" class="${kind}">${escaped(text)}</th>`
const cell = (kind: string, text: string): string =>
  kind === '' ? `<td>${escaped(text)}</td>` : `<td class="${kind}">${escaped(text)}</td>`

function dated({ from }: Hole, now: number): string {
  return `<td class="date"><time datetime="${instantOf(from)}">${instantOf(from)}</time><br>${escaped(distance(from, now))}</td>`
}

const LEVEL_TEXT = { now: '!! now', soon: '! soon', later: 'later' } as const
const LEVEL_CLASS = { now: 'bad', soon: 'warn', later: '' } as const
const ORDER = ['error', 'warning', 'ok', 'info'] as const
const SEVERITY_TEXT = { error: '!! error', warning: '! warning', ok: 'ok', info: 'note' } as const
const SEVERITY_CLASS = { error: 'bad', warning: 'warn', ok: 'good', info: '' } as const
const STATUS_TEXT = { good: '+', bad: '!!', neutral: '-' } as const
const STATUS_CLASS = { good: 'good', bad: 'bad', neutral: '' } as const
