import { type CanonicalOrigin, canonicalOrigin } from '../encoding/host.ts'
import { ConfigurationError } from '../errors/errors.ts'
import { isUnambiguous } from './egress.ts'
import type { Operation } from './operation-options.ts'

export interface Match {
  readonly operation: Operation
  /** The segments in braces, decoded. */
  readonly params: Readonly<Record<string, string>>
}

/** `'unlisted'`: the origin is none of theirs. `'unknown'`: it is, and no operation has this method and path. */
export type FindOperation = (
  origin: CanonicalOrigin,
  method: string,
  pathname: string,
) => Match | 'unlisted' | 'unknown' | 'ambiguous'

/**
 * Finds the operation that a request is. Pure. A path that servers read in more than one way is none: what a schema would judge
 * is not what would be served.
 *
 * @throws ConfigurationError for a URL that is none, and for two operations that one request would be.
 */
export function operationFinder(operations: readonly Operation[]): FindOperation {
  const byOrigin = new Map<string, Template[]>()
  for (const [index, operation] of operations.entries()) {
    const template = templateOf(operation, `operations.list.${index}.url`)
    const others = byOrigin.get(template.origin) ?? []
    const isTwin = others.some(({ id }) => id === template.id)
    if (isTwin) throw invalid(`operations.list.${index}`, `${nameOf(operation)} is given twice`)
    byOrigin.set(template.origin, [...others, template].sort(literalFirst))
  }
  return (origin, method, pathname) => {
    const templates = byOrigin.get(origin.text)
    if (templates === undefined) return 'unlisted'
    if (!isUnambiguous(pathname)) return 'ambiguous'
    const segments = pathname.slice(1).split('/').map(decodeURIComponent)
    for (const { operation, steps } of templates) {
      if (operation.method !== method) continue
      const params = paramsOf(steps, segments)
      if (params !== undefined) return { operation, params }
    }
    return 'unknown'
  }
}

export function nameOf({ name, method, url }: Operation): string {
  return name ?? `${method} ${url.replace(/^https:\/\/[^/]*/, '') || '/'}`
}

interface Template {
  readonly operation: Operation
  readonly origin: string
  /** A text that a segment has to be, or the name that it gets. */
  readonly steps: readonly Step[]
  /** Equal for two operations that the same requests are. */
  readonly id: string
}

type Step = { readonly literal: string } | { readonly param: string }

function templateOf(operation: Operation, option: string): Template {
  const { method, url } = operation
  const [, base = '', path = '/'] = /^(https:\/\/[^/?#]+)(\/.*)?$/s.exec(url) ?? []
  const parsed = URL.canParse(base) ? new URL(base) : undefined
  const origin = parsed && canonicalOrigin(parsed)
  const isBare = parsed?.username === '' && parsed.password === ''
  if (origin === undefined || !isBare || !isUnambiguous(path.replaceAll(PARAM, 'x'))) {
    throw invalid(option, 'expected https, a host and a path such as /payments/{id}, without a query')
  }
  const steps = path.slice(1).split('/').map(stepOf)
  const names = steps.flatMap((step) => ('param' in step ? [step.param] : []))
  if (new Set(names).size < names.length) throw invalid(option, 'expected each name in braces once')
  const shape = steps.map((step) => ('param' in step ? '{}' : step.literal)).join('/')
  return { operation, origin: origin.text, steps, id: `${method} ${shape}` }
}

function stepOf(segment: string): Step {
  const [, param] = /^\{([A-Za-z_]\w*)\}$/.exec(segment) ?? []
  return param === undefined ? { literal: decodeURIComponent(segment) } : { param }
}

/** The first segment that only one of them names decides. */
function literalFirst(one: Template, other: Template): number {
  const ranks = ({ steps }: Template): string => steps.map((step) => ('param' in step ? '1' : '0')).join('')
  return ranks(one).localeCompare(ranks(other))
}

function paramsOf(steps: readonly Step[], segments: readonly string[]): Record<string, string> | undefined {
  if (steps.length !== segments.length) return undefined
  const params: [string, string][] = []
  for (const [at, step] of steps.entries()) {
    const segment = segments[at] ?? ''
    if ('literal' in step ? segment !== step.literal : segment === '') return undefined
    if ('param' in step) params.push([step.param, segment])
  }
  return Object.fromEntries(params)
}

function invalid(option: string, problem: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_INVALID', `${option}: ${problem}`)
}

const PARAM = /(?<=\/)\{[A-Za-z_]\w*\}(?=\/|$)/g
