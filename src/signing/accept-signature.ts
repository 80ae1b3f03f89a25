import { BoundedMap } from '../encoding/bounded-map.ts'
import type { Signer } from '../keys/signer.ts'
import { quote } from './component.ts'
import { type Covered, isIn } from './covered-components.ts'
import { MessageRefusal } from './refusal.ts'
import { type RequestedSignature, readAcceptSignature, readSignatures } from './signature-fields.ts'
import type { SignableRequest, SignedResponse, SigningHost } from './signing.ts'

/** What servers ask for by Accept-Signature (RFC 9421 §5), as far as it is granted: by origin, the last word counts. */
export interface AcceptedRequests {
  /**
   * For the next signature: a nonce of the server is good for one.
   *
   * @param own What it covers anyway.
   */
  readonly take: (origin: string, own: Covered) => RequestedSignature | undefined
  readonly hear: (response: SignedResponse, request: SignableRequest, signer: Signer) => 'done' | 'retry'
}

export interface AcceptRules {
  /** Ids of what may be asked for. */
  readonly allowed: ReadonlySet<string>
  /** Ids of what is covered anyway. */
  readonly covered: ReadonlySet<string>
  /** Our own. */
  readonly label: string
  readonly tag: string | undefined
  readonly keyidOf: (signer: Signer) => string | undefined
}

export function createAcceptedRequests(rules: AcceptRules, { emit }: Pick<SigningHost, 'emit'>): AcceptedRequests {
  const granted = new BoundedMap<string, { readonly text: string; readonly asked: RequestedSignature }>(MAX_ORIGINS)
  return {
    take: (origin, { components }) => {
      const entry = granted.get(origin)
      if (entry !== undefined && isMisused(entry.asked, components, rules)) return undefined
      if (entry?.asked.parameters.nonce !== undefined) {
        const { nonce: _, ...parameters } = entry.asked.parameters
        granted.set(origin, { ...entry, asked: { ...entry.asked, parameters } })
      }
      return entry?.asked
    },
    hear: ({ status, headers }, request, signer) => {
      const text = headers.get('accept-signature')
      const before = granted.get(request.origin)
      if (text === null || before?.text === text) return 'done'
      const judged = judge(text, request, signer, {
        ...rules,
        labels: [rules.label, before?.asked.label ?? rules.label],
      })
      if (typeof judged === 'string') {
        emit({
          type: 'sign.acceptRefused',
          host: new URL(request.url).host,
          code: 'ERR_SIGN_ACCEPT_REFUSED',
          message: judged,
        })
        return 'done'
      }
      granted.set(request.origin, { text, asked: judged })
      return REFUSALS.has(status) ? 'retry' : 'done'
    },
  }
}

/** The first signature that may be made, or why none of them may. */
function judge(text: string, request: SignableRequest, signer: Signer, rules: Rules): RequestedSignature | string {
  try {
    const asked = readAcceptSignature(text)
    const problems = asked.map((one) => problemOf(one, request, signer, rules))
    const first = asked.find((_, at) => problems[at] === undefined)
    return first ?? problems[0] ?? 'Accept-Signature asks for nothing'
  } catch (error) {
    if (error instanceof MessageRefusal) return error.message
    throw error
  }
}

/** With the labels that we use there: a server may not take the one of another signer. */
type Rules = AcceptRules & { readonly labels: readonly string[] }

function problemOf(
  asked: RequestedSignature,
  request: SignableRequest,
  signer: Signer,
  rules: Rules,
): string | undefined {
  const { label, components, parameters } = asked
  const { keyid, alg } = parameters
  const foreign = components.find(({ id }) => !rules.allowed.has(id) && !rules.covered.has(id))
  if (foreign !== undefined) return `${quote(foreign.text)} is not in acceptSignature.allow`
  if (keyid !== undefined && keyid !== rules.keyidOf(signer)) return 'the keyid is not ours'
  if (alg !== undefined && alg !== signer.algorithm) return `the algorithm is not ${signer.algorithm}`
  if (isMisused(asked, components, rules) || isMisused(asked, [...rules.covered].map(asName), rules))
    return 'a signature over a credential is made for its own tag alone'
  if (!rules.labels.includes(label) && readSignatures(request.fields).has(label))
    return `the label ${quote(label)} is that of another signature`
  const missing = components.find((component) => !isIn(request, component))
  return missing === undefined ? undefined : `${quote(missing.text)} is not in the request`
}

/** For another purpose, and over a credential: whoever has it could use it there. */
function isMisused(
  { parameters: { tag } }: RequestedSignature,
  components: readonly { readonly name: string }[],
  { tag: own }: AcceptRules,
): boolean {
  return tag !== undefined && tag !== own && components.some(({ name }) => CREDENTIALS.has(name))
}

/** An id begins with the name in quotes. */
const asName = (id: string): { readonly name: string } => ({ name: id.slice(1, id.indexOf('"', 1)) })

const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie', 'dpop'])
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 403])
const MAX_ORIGINS = 100
