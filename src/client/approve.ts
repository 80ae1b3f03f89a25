import {
  type ApprovalCandidate,
  type ApprovalPolicy,
  type ApprovalSummary,
  judgeApproval,
  summaryOf,
} from '../auth/approval.ts'
import { BoundedMap } from '../encoding/bounded-map.ts'
import { ApprovalError, PinfetchError } from '../errors/errors.ts'
import { scrub } from '../errors/scrub.ts'
import type { Emit } from '../events/events.ts'
import type { Runtime } from '../ports/runtime.ts'
import { raceSignal } from '../ports/signals.ts'
import { clientClosed } from '../transport/failure.ts'
import { type GivenRequest, repeatable } from './replay.ts'
import { wireMethod } from './request.ts'
import type { Call, Send } from './send.ts'

export interface Approvals {
  /** A sender that sends a critical request only once it was approved. */
  readonly approved: (send: Send) => Send
  /** Whoever is being asked need not answer any more. */
  readonly close: () => void
}

/**
 * Stands before credentials: nothing is fetched for a request that nobody approves. The bytes are fixed before anybody is asked,
 * and sent as they were approved; a hop of a redirect is another request, and is judged on its own.
 */
export function createApprovals(
  policy: ApprovalPolicy,
  { runtime, emit }: { runtime: Runtime; emit: Emit },
): Approvals {
  const { when, ask, attach, timeoutMs, reuseMs } = policy
  const { monotonic } = runtime.clock
  /** By origin and Idempotency-Key. */
  const known = new BoundedMap<string, Question>(MAX_KEYS)
  const open = new Set<AbortController>()

  const put = (summary: ApprovalSummary, host: string): Question => {
    const control = new AbortController()
    const { method, digest } = summary
    const settle = async (): Promise<string | undefined> => {
      if (ask === undefined)
        throw refusal('ERR_APPROVAL_REQUIRED', host, 'nobody can be asked: the option approval has no `ask`')
      emit({ type: 'approval.asked', host, method, digest })
      const asking = Promise.resolve().then(() => ask(summary, { signal: control.signal }))
      const verdict = judgeApproval(summary, await raceSignal(asking, control.signal), policy)
      if (verdict.kind === 'granted') return verdict.evidence
      const code = verdict.kind === 'denied' ? 'ERR_APPROVAL_DENIED' : 'ERR_APPROVAL_MISMATCH'
      throw refusal(code, host, verdict.problem)
    }
    const cancel = runtime.schedule(timeoutMs, () => {
      control.abort(refusal('ERR_APPROVAL_DENIED', host, `nobody answered within ${timeoutMs} ms`))
    })
    const question: Question = { digest, control, waiting: 0, until: Number.POSITIVE_INFINITY, answer: NEVER }
    question.answer = settle()
      .catch((error) => {
        if (error instanceof PinfetchError || control.signal.aborted) throw error
        throw refusal('ERR_APPROVAL_DENIED', host, 'who should have been asked could not be', scrub(error))
      })
      .finally(() => {
        cancel()
        open.delete(control)
        question.until = monotonic() + reuseMs
      })
    question.answer.catch(() => undefined) // everybody who waits may have gone
    open.add(control)
    return question
  }

  const decide = async (summary: ApprovalSummary, { host, call, signal }: Asking): Promise<string | undefined> => {
    const { idempotencyKey } = summary
    const isFirst = call === undefined || call.hops === 0
    const id = isFirst && idempotencyKey !== undefined ? `${host} ${idempotencyKey}` : undefined
    const before = id === undefined ? undefined : known.get(id)
    const isKnown = before !== undefined && monotonic() < before.until && !before.control.signal.aborted
    if (isKnown && before.digest !== summary.digest)
      throw refusal('ERR_APPROVAL_MISMATCH', host, 'what was asked under its Idempotency-Key is another request')
    const question = isKnown ? before : put(summary, host)
    if (id !== undefined) known.set(id, question)
    question.waiting += 1
    try {
      const evidence = await raceSignal(question.answer, signal)
      emit({ type: 'approval.granted', host, method: summary.method, digest: summary.digest, isReused: isKnown })
      return evidence
    } finally {
      question.waiting -= 1
      if (question.waiting === 0 && open.has(question.control)) question.control.abort(signal?.reason)
    }
  }

  const approve = async (candidate: ApprovalCandidate, given: GivenRequest, asking: Asking): Promise<GivenRequest> => {
    const { input, init, oneShot } = repeatable(given, runtime.random)
    const { host } = asking
    const unseen =
      oneShot ?? (init.body instanceof ReadableStream ? 'a stream that is opened anew each time' : undefined)
    if (unseen !== undefined) {
      const problem = `nobody can be told what would be sent of ${unseen}; give text, bytes, URLSearchParams or a Blob`
      throw refusal('ERR_APPROVAL_REQUIRED', host, problem)
    }
    const body = await fixedBody(init.body)
    const evidence = await decide(summaryOf(candidate, body), asking)
    asking.signal?.throwIfAborted()
    const headers = new Headers(candidate.headers)
    if (attach !== undefined && evidence !== undefined) headers.set(attach.header, evidence)
    return { input, init: { ...init, headers, ...(body !== undefined && { body: body.sent }) } }
  }

  const approved =
    (send: Send): Send =>
    (input, init, url, call) => {
      const ofRequest = input instanceof Request ? input : undefined
      const candidate: ApprovalCandidate = {
        method: wireMethod(init.method ?? ofRequest?.method ?? 'GET'),
        url,
        headers: new Headers(init.headers ?? ofRequest?.headers),
      }
      if (!isCritical(when, candidate)) return send(input, init, url, call)
      // What the caller still holds, and could change while somebody is asked, stays here.
      const given = { input: ofRequest ?? url.href, init }
      const asking = { host: url.host, call, signal: init.signal ?? ofRequest?.signal ?? null }
      return approve(candidate, given, asking).then(
        (request) => {
          const ended = call?.endedBy?.()
          return ended === undefined ? send(request.input, request.init, url, call) : Promise.reject(ended)
        },
        (error: unknown) => {
          if (error instanceof ApprovalError)
            emit({ type: 'approval.refused', host: url.host, method: candidate.method, code: error.code })
          throw error
        },
      )
    }
  const close = (): void => {
    for (const control of open) control.abort(clientClosed('approval', 'no'))
  }
  return { approved, close }
}

interface Question {
  readonly digest: string
  readonly control: AbortController
  waiting: number
  /** Monotonic; the answer is given again until then. */
  until: number
  /** The evidence. */
  answer: Promise<string | undefined>
}

interface Asking {
  readonly host: string
  readonly call: Call | undefined
  readonly signal: AbortSignal | null
}

function isCritical(when: ApprovalPolicy['when'], { method, url, headers }: ApprovalCandidate): boolean {
  try {
    return when({ method, url: new URL(url), headers: new Headers(headers) }) !== false
  } catch {
    return true // a rule that fails says nothing against asking
  }
}

/** The bytes that are sent, whoever writes into the file behind a Blob meanwhile. */
async function fixedBody(
  body: RequestInit['body'],
): Promise<
  { readonly bytes: Uint8Array; readonly type: string | null; readonly sent: NonNullable<typeof body> } | undefined
> {
  if (body === undefined || body === null) return undefined
  const read = new Response(body)
  const type = read.headers.get('content-type')
  const bytes = new Uint8Array(await read.arrayBuffer())
  return { bytes, type, sent: body instanceof Blob ? new Blob([bytes], { type: body.type }) : body }
}

function refusal(code: ApprovalError['code'], host: string, problem: string, cause?: Error): ApprovalError {
  const message = `${host}: a critical request was not approved, and nothing was sent: ${problem}`
  return new ApprovalError(code, message, { host, cause })
}

const NEVER = new Promise<never>(() => undefined)
const MAX_KEYS = 10_000
