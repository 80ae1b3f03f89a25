/** A row for each example: its file, and the first sentence of what it says of itself. */
export function exampleRows(files: readonly { readonly name: string; readonly text: string }[]): readonly string[] {
  const shown = files.filter(({ name }) => name.endsWith('.ts') && !OTHERS.test(name))
  const rows = shown.map(({ name, text }) => `| [${name}](examples/${name}) | ${firstSentence(name, text)} |`)
  return ['| file | its one idea |', '|---|---|', ...rows.sort()]
}

function firstSentence(name: string, text: string): string {
  const comment = /^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? ''
  const words = comment.replaceAll(/\s*\n \*? ?/g, ' ').trim()
  const sentence = /^(.*?)(?:\.(?: |$)|: `npx|; needs)/.exec(words)?.[1]
  if (sentence === undefined) throw new Error(`examples/${name} does not begin with a sentence about itself`)
  return sentence.replaceAll('|', '\\|')
}

/** Servers behind the examples, and tests of examples that are no example themselves. */
const OTHERS = /-lab\.ts$|^(?:acme|auth|examples|payment|signing|sources|walk)\.test\.ts$/
