import type { ClientRequest } from 'node:http'

/** What a request of node:http says of itself, as it is sent. */
export interface Head {
  readonly method: string
  readonly target: string
  /** All that stand there, with commas between them; the empty text where there is none. */
  readonly host: string
}

/**
 * Calls `look` with the head of a request when that is fixed: method, target and fields may be changed until then, even when there is
 * a connection already. Where it is fixed by now, `look` is called now, and what it throws comes back; later on that ends the request,
 * of which nothing is written.
 */
export function lookAtHead(request: ClientRequest, look: (head: Head) => void): void {
  const { _header: fixed, _implicitHeader: fix } = request as unknown as Headed
  if (fixed !== null) {
    look(headOf(fixed))
    return
  }
  const implicitHeader = (): void => {
    fix.call(request)
    try {
      look(headOf((request as unknown as Headed)._header ?? ''))
    } catch (error) {
      request.destroy(error as Error)
    }
  }
  // No Object.assign: past a dozen members that makes V8 keep the request as a dictionary, and all of node:http slower with it.
  ;(request as unknown as Headed)._implicitHeader = implicitHeader
}

function headOf(text: string): Head {
  const methodEnd = text.indexOf(' ')
  const [host = '', ...others] = [...text.matchAll(HOST)].map(([, value = '']) => value)
  return {
    method: text.slice(0, methodEnd),
    target: text.slice(methodEnd + 1, text.indexOf(' ', methodEnd + 1)),
    host: others.length === 0 ? host : [host, ...others].join(','),
  }
}

const HOST = /\r\nhost:[\t ]*(.*?)[\t ]*(?=\r)/gi

/** What node:http has, and its typings leave out. */
interface Headed {
  /** The head, once it is fixed. */
  readonly _header: string | null
  /** Fixes it; called by whatever writes. */
  _implicitHeader: () => void
}
