/** A row for each Node that `.ci/run` uses, oldest first, with what it runs there. */
export function nodeRows(ciRun: string): readonly string[] {
  const used = [...ciRun.matchAll(/^use_node (\d+) (?:'([^']+)'|(\S+))(?: #.*)?$/gm)]
  const rows = used.map(([, node = '', quoted, word]) => ({ node, runs: quoted ?? word ?? '' }))
  if (rows.length === 0) throw new Error('.ci/run uses no Node')
  rows.sort((a, b) => Number(a.node) - Number(b.node))
  return [
    '| Node | what runs on it before anything lands |',
    '|---|---|',
    ...rows.map(({ node, runs }) => `| ${node} | ${runs} |`),
  ]
}
