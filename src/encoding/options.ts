import * as z from 'zod'
import { ConfigurationError } from '../errors/errors.ts'
import { canonicalOrigin } from './host.ts'

/**
 * Options as the schema understands them. What is wrong is named by its path and type: values are never shown, since secrets
 * stand among them.
 *
 * @throws ConfigurationError `ERR_CONFIG_INVALID`
 */
export function parseOptions<Schema extends z.ZodType>(
  name: string,
  schema: Schema,
  options: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(options)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const path = [name, ...(issue?.path ?? []).map(String)].join('.')
  throw new ConfigurationError('ERR_CONFIG_INVALID', `${path}: ${issue?.message ?? 'not what was expected'}`)
}

/** The origins that may see a credential, as `https://api.example` or `https://api.example:8443`: nothing of a URL beside. */
export const AllowedOrigins = z
  .array(z.string().transform(toOrigin), 'expected the origins that may see the credential')
  .min(1, 'expected the origins that may see the credential, one at least')
  .max(100)
  .transform((origins) => Object.freeze([...new Set(origins)]))

function toOrigin(text: string, context: z.RefinementCtx): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isBare = url?.protocol === 'https:' && `${url.origin}/` === url.href && !/[?#@]/.test(text)
  const origin = isBare ? canonicalOrigin(url) : undefined
  if (origin !== undefined) return `https://${origin.text}`
  context.addIssue({ code: 'custom', message: 'expected an https origin such as https://api.example, without a path' })
  return z.NEVER
}
