import type { PinfetchError, RequestSent } from './errors.ts'

/** The same error with something changed: one that several callers share must not be written into. */
export function copyOf(
  error: PinfetchError,
  changes: { readonly message?: string; readonly cause?: unknown; readonly requestSent?: RequestSent },
): PinfetchError {
  const Class = error.constructor as new (code: string, message: string, details: object) => PinfetchError
  const { message = error.message, ...details } = changes
  return new Class(error.code, message, { ...error, cause: error.cause, ...details })
}
