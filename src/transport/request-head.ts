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
  Object.assign(request, { _implicitHeader: implicitHeader })
}

function headOf(text: string): Head {
  const [line = '', ...fields] = text.split('\r\n')
  const [method = '', target = ''] = line.split(' ')
  const hosts = fields.filter((field) => /^host:/i.test(field)).map((field) => field.slice('host:'.length).trim())
  return { method, target, host: hosts.join(',') }
}

/** What node:http has, and its typings leave out. */
interface Headed {
  /** The head, once it is fixed. */
  readonly _header: string | null
  /** Fixes it; called by whatever writes. */
  readonly _implicitHeader: () => void
}
