import { PinfetchError, type RequestSent, TransportError } from '../errors/errors.ts'

/** What the source of a request's body failed with: no fault of the network, and no reason to ask a server again. */
export function sourceFailure(error: unknown, host: string, requestSent: RequestSent): unknown {
  if (error instanceof PinfetchError) return error
  const message = `${host}: the source of the request's body failed before its end`
  return new TransportError('ERR_TRANSPORT_BODY_UNAVAILABLE', message, { host, requestSent, cause: error })
}
