import { BoundedMap } from '../encoding/bounded-map.ts'
import type { CanonicalOrigin } from '../encoding/host.ts'
import type { Emit } from '../events/events.ts'
import type { Field } from '../transport/raw-handler.ts'

/** Told of the header fields of every response: names and values in turn, as they came. */
export type ReadResponse = (origin: CanonicalOrigin, path: string, headers: readonly Field[]) => void

/**
 * Reads what a response says beside its answer: that the API will end (RFC 9745, RFC 8594), that the host wants https alone
 * (RFC 6797), and that something stands between. Each thing is told once an origin and value; what is told holds no query,
 * no identifier of a path, and nothing that could break a line of a log.
 */
export function createNotices(options: {
  readonly emit: Emit
  readonly onHsts: (origin: CanonicalOrigin, field: string) => void
}): ReadResponse {
  const { emit, onHsts } = options
  const told = new BoundedMap<string, true>(MAX_TOLD)
  const isNew = (...parts: readonly unknown[]): boolean => {
    const key = parts.join(' ') // a field name, a host, and what is left
    if (told.get(key) === true) return false
    told.set(key, true)
    return true
  }

  return (origin, path, headers) => {
    const fields = fieldsOf(headers)
    if (fields === undefined) return
    const { text: host } = origin
    const hsts = fields.get('strict-transport-security')?.[0] // §8.1: the first field alone
    if (hsts !== undefined) onHsts(origin, hsts)
    const deprecated = readDeprecation(fields.get('deprecation')?.[0])
    if (deprecated !== undefined && isNew('deprecation', host, deprecated.date)) {
      const about = { host, path: shownPath(path), ...deprecated, ...linkOf(fields, 'deprecation', origin) }
      emit({ type: 'api.deprecated', ...about })
    }
    const sunset = readHttpDate(fields.get('sunset')?.[0])
    if (sunset !== undefined && isNew('sunset', host, sunset)) {
      emit({ type: 'api.sunset', host, path: shownPath(path), date: sunset, ...linkOf(fields, 'sunset', origin) })
    }
    for (const field of PROXY_SIGNS) {
      const values = fields.get(field)
      const value = values === undefined ? undefined : shownValue(values.join(', '))
      if (value !== undefined && isNew(field, host, value)) emit({ type: 'network.proxySign', host, field, value })
    }
  }
}

/** The few fields that are read, by lower-case name; `undefined` when there is none, as nearly always. */
function fieldsOf(headers: readonly Field[]): ReadonlyMap<string, readonly string[]> | undefined {
  let fields: Map<string, string[]> | undefined
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at]
    const value = headers[at + 1]
    const text = name === undefined ? undefined : nameOf(name)
    if (text === undefined || value === undefined) continue
    fields ??= new Map()
    const known = fields.get(text)
    if (known === undefined) fields.set(text, [value.toString('latin1')])
    else known.push(value.toString('latin1'))
  }
  return fields
}

/** No two of the names have one length, so length and last letter rule out nearly everything before a string is made. */
function nameOf(field: Field): string | undefined {
  const name = BY_LENGTH[field.length]
  const last = typeof field === 'string' ? field.charCodeAt(field.length - 1) : (field[field.length - 1] ?? 0)
  if (name === undefined || (last | 0x20) !== name.charCodeAt(name.length - 1)) return undefined
  return field.toString('latin1').toLowerCase() === name ? name : undefined
}

/** RFC 9745 §2.1: a date of structured fields. Drafts had `true` or an HTTP date; `date` is absent where none was given. */
function readDeprecation(field: string | undefined): { readonly date?: number } | undefined {
  if (field === undefined || field.length > MAX_READ) return undefined
  const seconds = /^ *@(-?\d{1,15}) *(?:;.*)?$/.exec(field)?.[1]
  if (seconds !== undefined) return isDate(Number(seconds) * 1_000) ? { date: Number(seconds) * 1_000 } : undefined
  if (/^ *(?:\?1|true) *$/i.test(field)) return {}
  const date = readHttpDate(field)
  return date === undefined ? undefined : { date }
}

/** Unix milliseconds of an IMF-fixdate (RFC 9110 §5.6.7), the one form that is still sent. */
function readHttpDate(field: string | undefined): number | undefined {
  const text = field?.trim() ?? ''
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(text)) return undefined
  const date = Date.parse(text)
  return isDate(date) ? date : undefined
}

const isDate = (ms: number): boolean => !Number.isNaN(new Date(ms).getTime())

/** The first target of this relation (RFC 8288 §3) that is an https URL, without its query. */
function linkOf(
  fields: ReadonlyMap<string, readonly string[]>,
  relation: 'deprecation' | 'sunset',
  { text }: CanonicalOrigin,
): { readonly link?: string } {
  const field = fields.get('link')?.join(', ').slice(0, MAX_READ) ?? ''
  for (const [, target = '', parameters = ''] of field.matchAll(LINK)) {
    const rel = /; *rel *= *(?:"([^"]*)"|([^\s;,"]+))/i.exec(parameters)
    const relations = (rel?.[1] ?? rel?.[2] ?? '').toLowerCase().split(' ')
    const base = `https://${text}/`
    if (!relations.includes(relation) || !URL.canParse(target, base)) continue
    const { protocol, origin, pathname } = new URL(target, base)
    if (protocol === 'https:') return { link: shownValue(`${origin}${pathname}`) }
  }
  return {}
}

/** Words and versions of a path; whatever may be an identifier or a secret is `*`. */
export function shownPath(target: string): string {
  const segments = target
    .replace(/\?.*$/s, '')
    .split('/')
    .slice(1, MAX_SEGMENTS + 1)
  return segments.map((segment) => (segment === '' || WORD.test(segment) ? `/${segment}` : '/*')).join('')
}

const shownValue = (text: string): string => text.slice(0, MAX_SHOWN).replace(/[^\x20-\x7e]/g, '?')

const PROXY_SIGNS = ['via', 'forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'] as const
const BY_LENGTH: readonly (string | undefined)[] = Array.from({ length: 26 }, (_, length) =>
  ['strict-transport-security', 'deprecation', 'sunset', 'link', ...PROXY_SIGNS].find((name) => name.length === length),
)
const WORD = /^(?:v\d{1,4}(?:\.\d{1,4})?|[a-z]{1,20}(?:[-_][a-z]{1,20}){0,2}(?:\.[a-z]{1,5})?)$/
const LINK = /<([^<>]*)>((?:[^<>",]|"[^"]*")*)/g
const MAX_READ = 4_096
const MAX_SHOWN = 200
const MAX_SEGMENTS = 8
const MAX_TOLD = 1_000
