import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Given, OpenClient } from './contenders.ts'
import { WORKER } from './worker.ts'

/** Where the client comes from; without one, it is the process's own `fetch`. */
export interface ClientModule {
  /** File URL. */
  readonly url: string
  /** The first of these that it exports is called with what the client is told. */
  readonly names: readonly string[]
  /** Second argument of that call. */
  readonly kind?: string
}

/**
 * A client in a process of its own, which trusts the roots of the lab by NODE_EXTRA_CA_CERTS and inherits nothing else from the
 * environment. It asks this process for every name: nothing of it leaves the machine.
 *
 * @throws Error with what went wrong when there is no client in the module.
 */
export async function openElsewhere(given: Given, module?: ClientModule): Promise<OpenClient> {
  const folder = mkdtempSync(join(tmpdir(), 'pinfetch-lab-'))
  const anchorFile = join(folder, 'anchors.pem')
  writeFileSync(anchorFile, given.anchors)
  const flags =
    module?.url.endsWith('.ts') === true
      ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href]
      : []
  const child = spawn(process.execPath, [...flags, '--no-warnings', '--input-type=module', '--eval', WORKER], {
    env: { NODE_EXTRA_CA_CERTS: anchorFile, ...given.env },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const waiting = new Map<number, (answer: Answer) => void>()
  let count = 0

  const answered = (id: number): Promise<Answer> => new Promise((resolve) => waiting.set(id, resolve))
  const settle = (id: number, answer: Answer): void => {
    waiting.get(id)?.(answer)
    waiting.delete(id)
  }
  child.on('message', (message: FromWorker) => {
    if ('lookup' in message) {
      child.send({ lookup: message.lookup, addresses: given.resolve?.(message.host) ?? ['127.0.0.1'] }, () => undefined)
    } else settle(message.id, message)
  })
  child.once('error', (error) => settle(OPENING, { error: { message: error.message } }))
  child.once('close', () => {
    for (const id of [...waiting.keys()])
      settle(id, { error: { message: 'its process has ended', code: 'PROCESS_ENDED' } })
  })

  const close = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  const { resolve: _, pinfetch, ...told } = given
  const opening = answered(OPENING)
  child.send(
    { given: { ...told, ...(pinfetch === undefined ? {} : { pinfetch }) }, module, before: given.before },
    () => undefined,
  )
  const { error } = await opening
  if (error !== undefined) {
    await close()
    throw new Error(error.message)
  }

  const fetch = async (input: string | URL, init: RequestInit = {}): Promise<Response> => {
    count += 1
    const answer = answered(count)
    child.send({ id: count, url: String(input), init: portable(init) }, () => undefined)
    const { error, response } = await answer
    if (error !== undefined) throw Object.assign(new TypeError(error.message), { code: error.code })
    const { status = 0, headers = [], body = '', url = '', redirected = false } = response ?? {}
    const hasBody = ![204, 205, 304].includes(status)
    return Object.defineProperties(
      new Response(hasBody ? body : null, { status, headers: [...headers] as [string, string][] }),
      {
        url: { value: url },
        redirected: { value: redirected },
      },
    )
  }
  return { fetch: fetch as typeof globalThis.fetch, close }
}

/** What a message can carry of it. */
function portable({ method, headers, body, redirect }: RequestInit): object {
  return {
    ...(method === undefined ? {} : { method }),
    ...(headers === undefined ? {} : { headers: [...new Headers(headers)] }),
    ...(body === undefined || body === null ? {} : { body: String(body) }),
    ...(redirect === undefined ? {} : { redirect }),
  }
}

interface Answer {
  readonly error?: { readonly message: string; readonly code?: string }
  readonly response?: {
    readonly status: number
    readonly headers: readonly (readonly [string, string])[]
    readonly body: string
    readonly url: string
    readonly redirected: boolean
  }
}

type FromWorker = { readonly lookup: number; readonly host: string } | ({ readonly id: number } & Answer)

const OPENING = 0
