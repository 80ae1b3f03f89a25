import type { Client } from '../../client/create-client.ts'
import type { ClientOptions } from '../../client/options.ts'
import { openLabClient } from './in-process.ts'
import { openElsewhere } from './own-process.ts'

/** A client that the lab attacks. */
export interface Contender {
  readonly name: ContenderName
  /** A client of its kind for this scenario; what a kind has no setting for, it goes without. */
  readonly open: (given: Given) => Promise<OpenClient>
}

/** Who is attacked. */
export type ContenderName = 'pinfetch' | 'fetch' | 'undici' | 'yours'

/** A contender, ready to be attacked. */
export interface OpenClient {
  readonly fetch: typeof globalThis.fetch
  /** Where it is pinfetch, in this process. */
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
  /** Environment variables of the process that the client is in. Every contender then has a process of its own. */
  readonly env?: Readonly<Record<string, string>>
  /**
   * Text of a module that somebody else runs in that process before there is a client: a patched function, a global dispatcher.
   * Every contender then has a process of its own.
   */
  readonly before?: string
  /** What pinfetch alone has a setting for. In a process of its own it gets what JSON can carry of it. */
  readonly pinfetch?: Partial<ClientOptions>
}

/**
 * The four kinds. `fetch` and `yours` have a process of their own, so that they trust the lab's roots by NODE_EXTRA_CA_CERTS as
 * any program does; the others have one where a scenario needs it.
 *
 * @param module File URL of the module behind `yours`.
 */
export function contenderOf(name: ContenderName, module?: string): Contender {
  return {
    name,
    open: (given) => {
      if (name === 'fetch') return openElsewhere(given)
      if (name === 'yours') return openElsewhere(given, { url: module ?? '', names: ['createClient', 'default'] })
      if (given.env === undefined && given.before === undefined) return openLabClient(given, name)
      return openElsewhere(given, { url: OURSELVES, names: ['openLabClient'], kind: name })
    },
  }
}

/** Where a process of its own finds `openLabClient`: in the sources while one works on them, else in the built package. */
const OURSELVES = new URL(import.meta.url.endsWith('.ts') ? './in-process.ts' : './testing.js', import.meta.url).href
