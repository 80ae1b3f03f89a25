import type { Client } from '../../client/create-client.ts'
import type { ClientOptions } from '../../client/options.ts'

/** A client that the lab attacks. */
export interface Contender {
  readonly name: 'pinfetch' | 'fetch' | 'undici' | 'yours'
  /** A client of its kind for this scenario; what a kind has no setting for, it goes without. */
  readonly open: (given: Given) => Promise<OpenClient>
}

export interface OpenClient {
  readonly fetch: typeof globalThis.fetch
  /** Where it is pinfetch. */
  readonly client?: Client
  readonly close: () => Promise<void>
}

/** What a client is told of the party that it is to talk to. */
export interface Given {
  /** PEM of the roots that it trusts: those of the lab, the wrongly trusted one among them. */
  readonly anchors: string
  /** Host to pins, as an operator has them. */
  readonly pins: Readonly<Record<string, readonly string[]>>
  /** PEM. */
  readonly certificate?: { readonly cert: string; readonly key: string }
  /** What the name service says at the moment. Default: 127.0.0.1 of every name. */
  readonly resolve?: (host: string) => readonly string[]
  /** `http://127.0.0.1:3128` */
  readonly proxy?: string
  /** Environment variables for a contender in a process of its own. */
  readonly env?: Readonly<Record<string, string>>
  /** What pinfetch alone has a setting for. */
  readonly pinfetch?: Partial<ClientOptions>
}
