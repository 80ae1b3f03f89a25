import type { LabReport, LabResult } from '../../src/testing/lab/report.ts'

/** A row for each attack: how it ended for each contender. */
export function attackRows({ contenders, attacks }: LabReport): readonly string[] {
  const names = contenders.map((name) => CONTENDERS[name])
  const rows = attacks.map(({ id, title, results }) =>
    row([id, title.charAt(0).toUpperCase() + title.slice(1), ...results.map(cellOf)]),
  )
  return [row(['id', 'attack', ...names]), row(['', '', ...names].map(() => '---')), ...rows]
}

/** A row for each contender: of the attacks that ran, how many it withstood, by group. */
export function summaryRows({ contenders, attacks }: LabReport): readonly string[] {
  const groups = [...new Set(attacks.map(({ group }) => group))]
  const rows = contenders.map((name) => {
    const cells = [undefined, ...groups].map((group) => {
      const ran = attacks
        .filter((attack) => group === undefined || attack.group === group)
        .flatMap(({ results }) => results.filter((one) => one.contender === name && one.outcome !== 'not-run'))
      return `${ran.filter(({ outcome }) => outcome !== 'lost').length} of ${ran.length}`
    })
    return row([CONTENDERS[name], ...cells])
  })
  return [row(['withstood', 'all', ...groups]), row(['', '', ...groups].map(() => '---')), ...rows]
}

/** Without the codes: of several that are right, which one comes first is up to the moment. */
export function withoutCodes(table: string): string {
  return table.replaceAll(/(?<=\| \w+) `[\w.]+`/g, '')
}

function cellOf({ contender, outcome, code }: LabResult): string {
  if (outcome === 'lost') return '**lost**'
  return contender === 'pinfetch' && code !== null ? `${outcome} \`${code}\`` : outcome.replace('-', ' ')
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

const CONTENDERS = {
  pinfetch: 'pinfetch',
  fetch: 'fetch of Node',
  undici: 'undici, with `checkServerIdentity`',
  yours: 'yours',
} as const
