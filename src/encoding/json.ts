/** Why bytes are not a document: each reason has its own error code where the bytes are read. */
export type JsonFailure = 'utf8' | 'json' | 'duplicate' | 'depth'

export type StrictJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly failure: JsonFailure }

/**
 * Parses JSON that means the same to every reader: UTF-8 without a byte order mark, no member name twice in one object
 * (RFC 8259 §4 leaves the meaning open, and two readers that pick differently can be played against each other), bounded depth.
 * `JSON.parse` cannot see the last two, hence the scan.
 */
export function parseStrictJson(bytes: Uint8Array, maxDepth = MAX_DEPTH): StrictJson {
  const text = decodeUtf8(bytes)
  if (text === undefined) return { ok: false, failure: 'utf8' }
  const parsed = parse(text)
  if (!parsed.ok) return parsed
  const failure = scan(text, maxDepth)
  return failure === undefined ? parsed : { ok: false, failure }
}

/** `undefined` for anything that is not UTF-8. A byte order mark stays, and JSON refuses it. */
function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

function parse(text: string): StrictJson {
  try {
    return { ok: true, value: JSON.parse(text) }
  } catch (error) {
    if (error instanceof SyntaxError) return { ok: false, failure: 'json' }
    throw error
  }
}

/** One pass over text that is known to be JSON. A duplicate is reported before excessive depth, wherever each stands. */
function scan(text: string, maxDepth: number): 'duplicate' | 'depth' | undefined {
  /** One entry an open container: the names seen so far, `null` for an array. */
  const open: (Set<string> | null)[] = []
  let expectName = false
  let tooDeep = false
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case '{':
        open.push(new Set())
        expectName = true
        break
      case '[':
        open.push(null)
        expectName = false
        break
      case '}':
      case ']':
        open.pop()
        expectName = false
        break
      case ',':
        expectName = open.at(-1) instanceof Set
        break
      case '"': {
        const end = endOfString(text, at)
        const names = open.at(-1)
        if (expectName && names instanceof Set) {
          const name = nameIn(text.slice(at, end + 1))
          if (names.has(name)) return 'duplicate'
          names.add(name)
          expectName = false
        }
        at = end
        break
      }
    }
    if (open.length > maxDepth) tooDeep = true
    if (open.length > MAX_SCAN_DEPTH) return 'depth'
  }
  return tooDeep ? 'depth' : undefined
}

/** `\u0078` and `x` are one name. */
function nameIn(literal: string): string {
  return literal.includes('\\') ? String(JSON.parse(literal)) : literal.slice(1, -1)
}

/** Index of the closing quote: the first that an even number of backslashes stands before. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslash = end
    while (text[backslash - 1] === '\\') backslash -= 1
    if ((end - backslash) % 2 === 0) return end
  }
}

const MAX_DEPTH = 12 // a host entry stands at depth 7; room for what a later minor version adds
const MAX_SCAN_DEPTH = 1_000 // a name set for each of a million brackets would be the attack
