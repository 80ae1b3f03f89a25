/**
 * Why these bytes are no secret; `undefined` for a secret. A placeholder that reached production opens every door that was left
 * at its default, and whatever is shorter than 16 bytes can be guessed; half of that is enough where the application says why.
 */
export function weaknessOf(bytes: Uint8Array, mayBeShort: boolean): string | undefined {
  if (bytes.length === 0) return 'is empty'
  if (bytes.length > MAX_BYTES) return `is longer than ${MAX_BYTES} bytes`
  if (isPlaceholder(bytes)) return 'holds a placeholder'
  const least = mayBeShort ? MIN_SHORT_BYTES : MIN_BYTES
  if (bytes.length < least) return `holds ${bytes.length} bytes, expected ${least} or more`
  return undefined
}

function isPlaceholder(bytes: Uint8Array): boolean {
  if (new Set(bytes).size <= 2) return true // xxxxxxxxxxxxxxxx, ****, 0000
  if (bytes.length > LONGEST_PLACEHOLDER) return false
  const text = new TextDecoder().decode(bytes).trim().toLowerCase()
  return TEMPLATES.some((template) => template.test(text)) || isMadeOfWords(text.replace(/[^a-z0-9]/g, ''))
}

/** `your-api-key-here`, `ChangeMe_123`: words that documentation uses, and digits at the end. */
function isMadeOfWords(text: string): boolean {
  let rest = text.replace(/[0-9]+$/, '')
  if (rest === '') return false
  while (rest !== '') {
    const word = WORDS.find((candidate) => rest.startsWith(candidate))
    if (word === undefined) return false
    rest = rest.slice(word.length)
  }
  return true
}

const MIN_BYTES = 16 // 128 bits, as RFC 6750 §5.2 and RFC 6749 §10.10 ask of what must not be guessed
const MIN_SHORT_BYTES = 8
const MAX_BYTES = 65_536
const LONGEST_PLACEHOLDER = 64

/** What nobody replaced: `<token>`, `${API_KEY}`, `{{ secret }}`, `%TOKEN%`. */
const TEMPLATES = [/^<.*>$/, /^\$?\{.*\}$/, /^%[a-z0-9_]+%$/, /^\$[a-z0-9_]+$/]

/** A longer word before the words that it begins with. */
const WORDS = [
  ...[
    'changeme',
    'changeit',
    'change',
    'replaceme',
    'replace',
    'insert',
    'enter',
    'put',
    'paste',
    'your',
    'the',
    'this',
  ],
  ...[
    'password',
    'passwd',
    'passw0rd',
    'passphrase',
    'pass',
    'secret',
    'token',
    'apikey',
    'api',
    'key',
    'access',
    'client',
  ],
  ...[
    'bearer',
    'auth',
    'placeholder',
    'example',
    'sample',
    'dummy',
    'default',
    'todo',
    'tbd',
    'none',
    'null',
    'undefined',
  ],
  ...['value', 'with', 'here', 'goes', 'foobar', 'foo', 'bar', 'my', 'me', 'test', 'xxx', 'an', 'a'],
]
