import { createHash } from 'node:crypto'
import { PAGE_STYLE } from '../picture/page-style.ts'
import { PICTURE_STYLE } from '../picture/style.ts'
import { type Matrix, matrixTable } from '../picture/tables.ts'
import { escaped } from '../picture/text.ts'
import type { LabReport, LabResult } from '../testing/lab/report.ts'
import { dateOf } from './text.ts'

/** The matrix of a run as one page that stands alone, which may run and fetch nothing. Pure. */
export function labPage(report: LabReport, now: number): string {
  const versions = `Node ${report.node}, ${dateOf(now)}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Attack lab</title>
<style>${STYLE}</style>
</head>
<body class="pf-page">
<header>
<h1>Attack lab</h1>
<p class="soft">${escaped(versions)}</p>
</header>
<main>
<section aria-label="Results">
${matrixTable(labMatrix(report))}
</section>
</main>
</body>
</html>
`
}

/** Rows and columns of a report, for a page. */
export function labMatrix({ contenders, attacks }: Shown): Matrix {
  return {
    columns: contenders,
    rows: attacks.map(({ id, title, group }) => ({ id, title, group })),
    cells: attacks.map(({ results }) =>
      results.map((result) => ({ text: textOf(result), status: STATUS[result.outcome] })),
    ),
  }
}

/** What a page needs of a report. */
interface Shown {
  readonly contenders: readonly string[]
  readonly attacks: readonly {
    readonly id: string
    readonly title: string
    readonly group: string
    readonly results: readonly Cell[]
  }[]
}

type Cell = Pick<LabResult, 'outcome' | 'code' | 'reason'>

function textOf({ outcome, code, reason }: Cell): string {
  if (outcome === 'lost') return `lost: ${reason}`
  if (outcome === 'not-run') return `not run: ${reason}`
  return code === null ? outcome : `${outcome}: ${code}`
}

const STATUS = { refused: 'good', noticed: 'good', unharmed: 'good', lost: 'bad', 'not-run': 'neutral' } as const
const STYLE = `${PICTURE_STYLE}${PAGE_STYLE}`
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`
