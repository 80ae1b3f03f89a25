/** Markdown tables by name, each as its lines. */
export type Tables = Readonly<Record<string, readonly string[]>>

/** The text, with each table between `<!-- table: name -->` and the next `<!-- end -->`. */
export function withTables(text: string, tables: Tables): string {
  return Object.entries(tables).reduce((rest, [name, lines]) => {
    const { before, after } = placeOf(rest, name)
    return `${before}${lines.join('\n')}\n${after}`
  }, text)
}

/** @param stable What of a table counts. Default: all. */
export function differingTables(
  text: string,
  tables: Tables,
  stable = (table: string): string => table,
): readonly string[] {
  return Object.keys(tables).filter(
    (name) => stable(placeOf(text, name).table) !== stable(`${tables[name]?.join('\n')}\n`),
  )
}

/** @throws Error where the text has no place for it: a table that nobody sees must not pass for one that is right. */
export function placeOf(text: string, name: string): { before: string; table: string; after: string } {
  const start = `<!-- table: ${name} -->\n`
  const from = text.indexOf(start)
  const to = text.indexOf('<!-- end -->', from)
  if (from === -1 || to === -1) throw new Error(`no place for the table "${name}"`)
  return {
    before: text.slice(0, from + start.length),
    table: text.slice(from + start.length, to),
    after: text.slice(to),
  }
}
