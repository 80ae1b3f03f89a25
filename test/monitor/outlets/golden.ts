import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a record has that its published schema does not, or lacks; empty for a valid one. Versions and sources: see the files. */
export function ocsfProblems(record: object): readonly string[] {
  const fields = record as Record<string, unknown>
  const known = OCSF.classes[String(fields.class_uid)]
  if (known === undefined) return [`class_uid ${String(fields.class_uid)}`]
  const problems = objectProblems('', fields, {
    required: [...OCSF.base.required, ...known.required],
    ...(known.oneOf === undefined ? {} : { oneOf: known.oneOf }),
    fields: [
      ...OCSF.base.fields,
      ...known.fields,
      ...(profilesOf(fields).includes('security_control') ? OCSF.security_control : []),
    ],
  })
  const activity = known.activities[String(fields.activity_id)]
  if (activity === undefined || (activity !== '*' && activity !== fields.activity_name)) problems.push('activity')
  if (fields.class_name !== known.name) problems.push('class_name')
  if (fields.category_uid !== known.category[0] || fields.category_name !== known.category[1]) problems.push('category')
  if (fields.type_uid !== Number(fields.class_uid) * 100 + Number(fields.activity_id)) problems.push('type_uid')
  if (fields.status_id !== undefined && known.status[String(fields.status_id)] !== fields.status)
    problems.push('status')
  return problems
}

function objectProblems(path: string, fields: Record<string, unknown>, shape: Shape): string[] {
  const problems = shape.required
    .filter((name) => fields[name] === undefined)
    .map((name) => `${path}${name} is missing`)
  if (shape.oneOf?.some((name) => fields[name] !== undefined) === false)
    problems.push(`${path}: none of ${shape.oneOf}`)
  for (const [name, value] of Object.entries(fields)) {
    if (!shape.fields.includes(name)) problems.push(`${path}${name} is no field`)
    if (value === undefined) problems.push(`${path}${name} is undefined`)
    if (name.endsWith('_id')) {
      const caption = name.slice(0, -'_id'.length)
      const values = caption === 'type' ? shape.types : OCSF.enums[caption]
      if (values !== undefined && values[String(value)] !== fields[caption])
        problems.push(`${path}${name} ${String(value)}`)
    }
    if (OCSF.free.includes(name)) continue
    for (const one of [value].flat()) {
      if (typeof one !== 'object' || one === null) continue
      const inner = OCSF.objects[name]
      if (inner === undefined) problems.push(`${path}${name} is no object`)
      else problems.push(...objectProblems(`${path}${name}.`, one as Record<string, unknown>, inner))
    }
  }
  return problems
}

export function ecsProblems(record: object): readonly string[] {
  const flat = flattened('', record)
  const names = Object.keys(flat).filter((name) => !name.startsWith('pinfetch.'))
  const problems = names.filter((name) => !ECS.fields.includes(name)).map((name) => `${name} is no field`)
  problems.push(...ECS.required.filter((name) => flat[name] === undefined).map((name) => `${name} is missing`))
  for (const [name, values] of Object.entries(ECS.enums)) {
    const value = flat[name]
    if (value !== undefined && !values.includes(String(value))) problems.push(`${name} ${String(value)}`)
  }
  const allowed = [flat['event.category']].flat().flatMap((category) => ECS.types[String(category)] ?? [])
  for (const type of [flat['event.type']].flat())
    if (!allowed.includes(String(type))) problems.push(`event.type ${String(type)}`)
  return problems
}

/** Logs data of the OpenTelemetry Protocol, in JSON. */
export function otlpProblems(request: object): readonly string[] {
  return messageProblems('', request, OTLP.request)
}

function messageProblems(path: string, value: object, fields: Record<string, string>): string[] {
  const problems = Object.entries(value).flatMap(([name, one]) => {
    const [, type = 'none', repeated] = /^(\w+)(\[\])?$/.exec(fields[name] ?? '') ?? []
    if (type === 'none') return [`${path}${name} is no field`]
    if ((repeated !== undefined) !== Array.isArray(one)) return [`${path}${name} is no ${fields[name]}`]
    return [one].flat().flatMap((each) => valueProblems(`${path}${name}`, each, type))
  })
  const keys = ((value as { readonly attributes?: readonly OtlpAttribute[] }).attributes ?? []).map(({ key }) => key)
  if (new Set(keys).size < keys.length) problems.push(`${path}attributes has a key twice`)
  if (fields === OTLP.messages.AnyValue && Object.keys(value).length > 1) problems.push(`${path} has two values`)
  return problems
}

function valueProblems(path: string, value: unknown, type: string): string[] {
  const message = OTLP.messages[type]
  if (message !== undefined)
    return typeof value === 'object' && value !== null
      ? messageProblems(`${path}.`, value, message)
      : [`${path} is no ${type}`]
  const pattern = OTLP.scalars[type]
  const isWellFormed = typeof value !== 'string' || Buffer.from(value).toString() === value
  return pattern !== undefined && isWellFormed && new RegExp(pattern).test(JSON.stringify(value))
    ? []
    : [`${path} is no ${type}`]
}

/** What an attribute or a value of the OpenTelemetry Protocol says. */
function plain(value: OtlpValue): unknown {
  const { stringValue, boolValue, intValue, doubleValue, arrayValue, kvlistValue } = value
  if (intValue !== undefined) return Number(intValue)
  if (arrayValue !== undefined) return arrayValue.values.map(plain)
  if (kvlistValue !== undefined) return plainAttributes(kvlistValue.values)
  return stringValue ?? boolValue ?? doubleValue ?? null
}

export const plainAttributes = (attributes: readonly OtlpAttribute[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]))

export interface OtlpAttribute {
  readonly key: string
  readonly value: OtlpValue
}

interface OtlpValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: string
  readonly doubleValue?: number
  readonly arrayValue?: { readonly values: readonly OtlpValue[] }
  readonly kvlistValue?: { readonly values: readonly OtlpAttribute[] }
}

/** The head's seven fields and the extension's, unescaped; `undefined` for a line that is none. */
export function readCef(
  line: string,
): { readonly head: readonly string[]; readonly fields: Record<string, string> } | undefined {
  const match = /^CEF:0\|((?:[^|\\\r\n]|\\[|\\])*\|){6}/.exec(line)
  if (match === null || /[\r\n]/.test(line)) return undefined
  const head = match[0].split(/(?<!\\)\|/).slice(0, 7)
  const fields: Record<string, string> = {}
  for (const [, name = '', value = ''] of line
    .slice(match[0].length)
    .matchAll(/(?:^| )(\w+)=((?:[^=\\]|\\.)*?)(?= \w+=|$)/g)) {
    if (!CEF.keys.includes(name)) return undefined
    fields[name] = value.replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one))
  }
  return { head, fields }
}

/** The head's fields and the attributes; `undefined` for a line that is none, or names an attribute twice. */
export function readLeef(
  line: string,
): { readonly head: readonly string[]; readonly fields: Record<string, string> } | undefined {
  const match = /^LEEF:2\.0\|(?:[^|\t\r\n]+\|){4}x09\|/.exec(line)
  if (match === null || /[\r\n]/.test(line)) return undefined
  const pairs = line
    .slice(match[0].length)
    .split('\t')
    .map((pair) => /^([A-Za-z0-9]+)=(.*)$/.exec(pair)?.slice(1))
  const fields = Object.fromEntries(pairs.map((pair) => pair ?? []))
  const isRight = pairs.every((pair) => pair !== undefined) && Object.keys(fields).length === pairs.length
  return isRight ? { head: match[0].split('|').slice(0, 6), fields } : undefined
}

function flattened(path: string, value: object): Record<string, unknown> {
  return Object.assign(
    {},
    ...Object.entries(value).map(([name, one]) =>
      typeof one === 'object' && one !== null && !Array.isArray(one)
        ? flattened(`${path}${name}.`, one as object)
        : { [`${path}${name}`]: one },
    ),
  ) as Record<string, unknown>
}

const profilesOf = ({ metadata }: Record<string, unknown>): readonly unknown[] =>
  (metadata as { readonly profiles?: readonly unknown[] } | undefined)?.profiles ?? []

interface Shape {
  readonly required: readonly string[]
  readonly fields: readonly string[]
  readonly oneOf?: readonly string[]
  readonly types?: Readonly<Record<string, string>>
}

const read = <T>(name: string): T => JSON.parse(readFileSync(join(import.meta.dirname, 'golden', name), 'utf8')) as T
const OCSF = read<{
  readonly base: Shape
  readonly security_control: readonly string[]
  readonly classes: Record<
    string,
    Shape & {
      readonly name: string
      readonly category: readonly [number, string]
      readonly activities: Record<string, string>
      readonly status: Record<string, string>
    }
  >
  readonly enums: Record<string, Record<string, string>>
  readonly objects: Record<string, Shape>
  readonly free: readonly string[]
}>('ocsf-1.6.0.json')
const ECS = read<{
  readonly required: readonly string[]
  readonly fields: readonly string[]
  readonly enums: Record<string, readonly string[]>
  readonly types: Record<string, readonly string[]>
}>('ecs-8.17.json')
const OTLP = read<{
  readonly request: Record<string, string>
  readonly messages: Record<string, Record<string, string>>
  readonly scalars: Record<string, string>
}>('otlp-1.9.json')
const CEF = read<{ readonly keys: readonly string[] }>('cef.json')
