import type { ServerResponse } from 'node:http'
import { systemRuntime } from '../ports/system.ts'
import { generateKey, type KeyPair } from '../x509/generate.ts'
import type { TestCertificate } from './ca.ts'
import {
  consistencyProof,
  leafHash,
  merkleTreeLeaf,
  timestampedEntry,
  treeHash,
  treeHeadSignature,
  vector,
} from './log-structs.ts'
import { type ServerIdentity, startTlsServer, type TestTlsServer } from './tls-server.ts'

/** A Certificate Transparency log of RFC 6962 in memory; `startLogServer` serves it. */
export function createRfc6962Log(options: TestRfc6962LogOptions = {}): TestRfc6962Log {
  const { key = generateKey(), now = systemRuntime.clock.now, maxEntries = 1_000 } = options
  const leaves: Leaf[] = []
  const hashes = (size: number): readonly Uint8Array[] => leaves.slice(0, size).map(({ hash }) => hash)

  const treeHead: TestRfc6962Log['treeHead'] = (forged = {}) => {
    const { size = leaves.length, timestamp = now() } = forged
    const root = forged.root ?? treeHash(hashes(size))
    const signature = treeHeadSignature({ size, root, timestamp }, forged.key ?? key)
    return {
      tree_size: size,
      timestamp,
      sha256_root_hash: base64(root),
      tree_head_signature: base64(signature),
    }
  }
  return {
    key,
    publicKey: base64(key.spki),
    get size() {
      return leaves.length
    },
    add: (certificate, { precertificate, timestamp = now() } = {}) => {
      const leaf = merkleTreeLeaf(timestampedEntry({ certificate, precertificate, timestamp }))
      const chain = vector(3, Buffer.concat(certificate.chainWithRoot.slice(1).map((der) => vector(3, der))))
      const submitted = precertificate === undefined ? [] : [vector(3, precertificate.der)]
      leaves.push({
        told: { leaf_input: base64(leaf), extra_data: base64(Buffer.concat([...submitted, chain])) },
        hash: leafHash(leaf),
      })
    },
    treeHead,
    answer: (message, inputs) => {
      const input = (name: string): number => Number(inputs.get(name) ?? -1)
      switch (message) {
        case 'get-sth':
          return treeHead()
        case 'get-sth-consistency':
          return { consistency: consistencyProof(input('first'), hashes(input('second'))).map(base64) }
        case 'get-entries': {
          const end = Math.min(input('end') + 1, input('start') + maxEntries)
          return { entries: leaves.slice(input('start'), end).map(({ told }) => told) }
        }
      }
    },
  }
}

/** What signs the log, and how it answers. */
export interface TestRfc6962LogOptions {
  /** Default P-256. */
  readonly key?: KeyPair
  /** Time of entries and tree heads, Unix milliseconds. Default: the machine's clock. */
  readonly now?: () => number
  /** In one answer to get-entries, however many are asked for. Default 1 000. */
  readonly maxEntries?: number
}

/** A log of RFC 6962, in memory. */
export interface TestRfc6962Log {
  readonly key: KeyPair
  /** base64 of the SubjectPublicKeyInfo, as log lists have it. */
  readonly publicKey: string
  readonly size: number
  /** Appends a certificate; with `precertificate`, see `poisoned`, the precertificate of it. */
  readonly add: (
    certificate: TestCertificate,
    options?: { readonly precertificate?: TestCertificate; readonly timestamp?: number },
  ) => void
  /** What get-sth answers, or with what a liar would put in its place. */
  readonly treeHead: (forged?: {
    readonly size?: number
    readonly root?: Uint8Array
    readonly timestamp?: number
    readonly key?: KeyPair
  }) => object
  readonly answer: (message: LogMessage, inputs: URLSearchParams) => object
}

/** What clients ask a log for (RFC 6962 §4). */
export type LogMessage = (typeof MESSAGES)[number]

/** Serves a log of RFC 6962 below `/ct/v1/`, and lies when told to. */
export async function startLogServer(options: {
  readonly identity: ServerIdentity
  readonly log: TestRfc6962Log
}): Promise<LogServer> {
  let { log } = options
  const lies = new Map<string, Lie>()
  const server = await startTlsServer({
    identity: options.identity,
    handler: ({ path }, response) => {
      const { pathname, searchParams: inputs } = new URL(path, 'https://localhost/')
      const message = MESSAGES.find((name) => pathname === `/ct/v1/${name}`)
      if (message === undefined) {
        response.writeHead(404).end()
        return
      }
      const honest = log.answer(message, inputs)
      sendJson(response, lies.get(message)?.(honest, inputs) ?? honest)
    },
  })
  return Object.assign(server, {
    url: `${server.origin}/`,
    serve: (other: TestRfc6962Log): void => {
      log = other
    },
    lie: (message: LogMessage, lie: Lie | undefined): void => {
      if (lie === undefined) lies.delete(message)
      else lies.set(message, lie)
    },
  })
}

/** What is answered in place of the log's own answer: JSON, or a text as it is. */
export type Lie = (honest: object, inputs: URLSearchParams) => object | string

/** A server of a log. */
export interface LogServer extends TestTlsServer {
  /** Base URL of the log, with the final slash. */
  readonly url: string
  /** Another log answers from here on. */
  readonly serve: (log: TestRfc6962Log) => void
  /** Until it is taken back, with `undefined`. */
  readonly lie: (message: LogMessage, lie: Lie | undefined) => void
}

interface Leaf {
  readonly told: { readonly leaf_input: string; readonly extra_data: string }
  readonly hash: Uint8Array
}

function sendJson(response: ServerResponse, body: object | string): void {
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(typeof body === 'string' ? body : JSON.stringify(body))
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

const MESSAGES = ['get-sth', 'get-sth-consistency', 'get-entries'] as const
