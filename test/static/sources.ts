import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import ts from 'typescript'

const ROOT = resolve(import.meta.dirname, '../..')

/** A file of the repository: its path from the root, and its text. */
export interface Source {
  readonly path: string
  readonly text: string
}

/** Something a file does or says, in the words the rules are written in. */
export interface Use {
  readonly path: string
  readonly line: number
  readonly what: string
}

/** Every TypeScript file below a folder of the repository. */
export function sourcesIn(folder: string): readonly Source[] {
  const paths = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
  return paths
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join(folder, path).replaceAll('\\', '/'))
    .sort()
    .map((path) => ({ path, text: textOf(path) }))
}

export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

export function exists(path: string): boolean {
  return existsSync(join(ROOT, path))
}

/**
 * What the code of a file uses: `Date.now` (also written `Date['now']` or taken apart), `setTimeout`, `new Date()`,
 * `import node:timers`, `any`, `!`, and for a comparison of two values with `==` or `===` each name in it as `=== name`.
 * Comments and strings use nothing.
 */
export function usesOf({ path, text }: Source): readonly Use[] {
  const file = parse({ path, text })
  const uses: Use[] = []
  const add = (node: ts.Node, what: string): void => {
    uses.push({ path, line: file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1, what })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node)) add(node, `${nameOf(node.expression)}.${node.name.text}`)
    else if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression))
      add(node, `${nameOf(node.expression)}.${node.argumentExpression.text}`)
    else if (ts.isVariableDeclaration(node) && ts.isObjectBindingPattern(node.name) && node.initializer !== undefined) {
      for (const { name, propertyName = name } of node.name.elements)
        add(node, `${nameOf(node.initializer)}.${propertyName.getText(file)}`)
    } else if (ts.isIdentifier(node) && !isMemberName(node)) add(node, node.text)
    else if (ts.isNewExpression(node) && node.arguments?.length === 0) add(node, `new ${nameOf(node.expression)}()`)
    else if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier))
      add(node, `import ${node.moduleSpecifier.text}`)
    else if (node.kind === ts.SyntaxKind.AnyKeyword) add(node, 'any')
    else if (ts.isNonNullExpression(node)) add(node, '!')
    else if (ts.isBinaryExpression(node) && EQUALITY.has(node.operatorToken.kind) && !isAbsence(node)) {
      for (const side of [node.left, node.right]) add(node, `=== ${nameOf(side)}`)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return uses
}

/** The string literals of a file that are read as values, templates without holes included. */
export function stringsOf(source: Source): readonly string[] {
  const strings: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) strings.push(node.text)
    ts.forEachChild(node, visit)
  }
  visit(parse(source))
  return strings
}

/** Lines that match, code and comments alike. */
export function linesOf({ path, text }: Source, pattern: RegExp): readonly Use[] {
  return text.split('\n').flatMap((line, index) => {
    return [...line.matchAll(pattern)].map(([what]) => ({ path, line: index + 1, what }))
  })
}

export function describe({ path, line, what }: Use): string {
  return `${path}:${line}: ${what}`
}

function parse({ path, text }: Source): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
}

/** The last name of an expression: what a reader would call the value. */
function nameOf(node: ts.Node): string {
  if (ts.isIdentifier(node)) return node.text
  if (ts.isPropertyAccessExpression(node)) return node.name.text
  if (ts.isCallExpression(node) || ts.isParenthesizedExpression(node)) return nameOf(node.expression)
  return ts.isNonNullExpression(node) ? nameOf(node.expression) : ''
}

/** Whether a value is there at all, or empty, is no secret. */
function isAbsence({ left, right }: ts.BinaryExpression): boolean {
  return [left, right].some((side) => {
    return nameOf(side) === 'undefined' || side.kind === ts.SyntaxKind.NullKeyword || side.getText() === "''"
  })
}

/** In `a.b`, `{ b: 1 }` and `interface { b: string }`, `b` names a member and not what it is called elsewhere. */
function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node
  const isMember = ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent) || ts.isPropertyDeclaration(parent)
  return isMember && parent.name === node
}

const EQUALITY = new Set([
  ts.SyntaxKind.EqualsEqualsToken,
  ts.SyntaxKind.EqualsEqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsToken,
  ts.SyntaxKind.ExclamationEqualsEqualsToken,
])
