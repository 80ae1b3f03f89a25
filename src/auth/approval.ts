import { createHash } from 'node:crypto'
import * as z from 'zod'
import { parseOptions } from '../encoding/options.ts'
import { HeaderName } from './api-key.ts'

/** When somebody has to confirm a request, and how that somebody is asked. */
export interface ApprovalOptions {
  /** Whether a request is critical: everything that is not `false` is. What throws refuses the request. */
  readonly when: (request: ApprovalCandidate) => boolean
  /**
   * Asks somebody, by another way than the request would take: a push to a phone, a chat, a ticket. Once for each request, and
   * never again by itself. Default: nobody can be asked, and every critical request is refused.
   */
  readonly ask?: (summary: ApprovalSummary, context: { readonly signal: AbortSignal }) => Promise<ApprovalAnswer>
  /** The header that carries `evidence` to the server. Default: it stays here. */
  readonly attach?: { readonly header: string }
  /** How long `ask` may take. Default 120,000: who has to think longer starts over. */
  readonly timeoutMs?: number
  /** How long an answer stands for the same request under the same Idempotency-Key, a refusal too. Default 600,000. */
  readonly reuseMs?: number
}

/** What is known of a request before anybody is asked. */
export interface ApprovalCandidate {
  readonly method: string
  readonly url: URL
  readonly headers: Headers
}

/** What somebody approves: all of it is in `digest`, and none of it changes afterwards. */
export interface ApprovalSummary {
  readonly method: string
  /** Without a fragment, which is never sent. */
  readonly url: string
  /** RFC 9530, of the exact bytes: `sha-256=:…:`. Absent without a body. */
  readonly contentDigest?: string
  readonly contentLength: number
  readonly contentType?: string
  readonly idempotencyKey?: string
  /** SHA-256 over the members above, base64url: what an approver signs, or shows to whoever compares. */
  readonly digest: string
}

/** What an approver says, once, of one request. */
export interface ApprovalAnswer {
  readonly approved: boolean
  /** The `digest` that the approver saw. Another one than ours refuses the request: somebody was shown something else. */
  readonly digest?: string
  /** What proves the approval to the server: visible ASCII. */
  readonly evidence?: string
}

/** What `approval` makes: the option `approval` of `createClient`. */
export type ApprovalPolicy = Readonly<
  Required<Pick<ApprovalOptions, 'when' | 'timeoutMs' | 'reuseMs'>> & Pick<ApprovalOptions, 'ask' | 'attach'>
>

/**
 * Has critical requests confirmed out of band before anything of them is sent, a name looked up or a token fetched.
 *
 * @throws ConfigurationError
 *
 * @example
 * approval({ when: ({ method, url }) => method === 'POST' && url.pathname === '/transfers', ask: askOnTheirPhone })
 */
export function approval(options: ApprovalOptions): ApprovalPolicy {
  const read = parseOptions('approval', Options, options)
  const policy = Object.freeze({ timeoutMs: TIMEOUT_MS, reuseMs: REUSE_MS, ...read }) as ApprovalPolicy
  made.add(policy)
  return policy
}

export function isApprovalPolicy(value: unknown): value is ApprovalPolicy {
  return typeof value === 'object' && value !== null && made.has(value)
}

/** Pure: the same request has the same digest, and another one another. */
export function summaryOf(
  { method, url, headers }: ApprovalCandidate,
  body: { readonly bytes: Uint8Array; readonly type: string | null } | undefined,
): ApprovalSummary {
  const sha256 = (data: Uint8Array | string): Buffer => createHash('sha256').update(data).digest()
  const contentType = headers.get('content-type') ?? body?.type
  const idempotencyKey = headers.get('idempotency-key')
  const summary = {
    method,
    url: url.href.slice(0, url.href.length - url.hash.length),
    ...(body !== undefined && { contentDigest: `sha-256=:${sha256(body.bytes).toString('base64')}:` }),
    contentLength: body?.bytes.length ?? 0,
    ...(typeof contentType === 'string' && { contentType }),
    ...(idempotencyKey !== null && { idempotencyKey }),
  }
  const facts = [summary.method, summary.url, summary.contentDigest, summary.contentType, summary.idempotencyKey]
  const digest = sha256(JSON.stringify(['pinfetch approval 1', ...facts.map((fact) => fact ?? null)]))
  return Object.freeze({ ...summary, digest: digest.toString('base64url') })
}

export type ApprovalVerdict =
  | { readonly kind: 'granted'; readonly evidence: string | undefined }
  | { readonly kind: 'denied' | 'mismatch'; readonly problem: string }

/** Whether an answer allows the request. Pure. */
export function judgeApproval(
  { digest }: ApprovalSummary,
  answer: unknown,
  { attach }: Pick<ApprovalPolicy, 'attach'>,
): ApprovalVerdict {
  const given = Answer.safeParse(answer)
  if (!given.success)
    return { kind: 'denied', problem: 'the answer is none: expected { approved, digest?, evidence? }' }
  const { approved, digest: seen, evidence } = given.data
  if (!approved) return { kind: 'denied', problem: 'it was denied' }
  if (seen !== undefined && seen !== digest)
    return { kind: 'mismatch', problem: 'what was approved is another request' }
  if (attach !== undefined && evidence === undefined)
    return { kind: 'denied', problem: `it was approved without the evidence that belongs in ${attach.header}` }
  return { kind: 'granted', evidence }
}

const call = z.custom<(...given: never[]) => unknown>((value) => typeof value === 'function', 'expected a function')

const Options = z.strictObject({
  when: call,
  ask: call.optional(),
  attach: z.strictObject({ header: HeaderName }).optional(),
  timeoutMs: z.int().min(1).max(3_600_000).optional(),
  reuseMs: z.int().min(0).max(86_400_000).optional(),
})

const Answer = z.object({
  approved: z.boolean(),
  digest: z.string().optional(),
  evidence: z
    .string()
    .regex(/^[\x21-\x7e]{1,8192}$/)
    .optional(),
})

const made = new WeakSet<object>()
const TIMEOUT_MS = 120_000
const REUSE_MS = 600_000
