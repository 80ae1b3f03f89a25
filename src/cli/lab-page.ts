import { matrixPage } from '../picture/page.ts'
import type { Matrix } from '../picture/tables.ts'
import type { LabReport, LabResult } from '../testing/lab/report.ts'
import { dateOf } from './text.ts'

/** The matrix of a run as one page that stands alone, which may run and fetch nothing. Pure. */
export function labPage(report: LabReport, now: number): string {
  const about = `Node ${report.node}, ${dateOf(now)}`
  return matrixPage({ title: 'Attack lab', about, matrix: labMatrix(report) })
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
