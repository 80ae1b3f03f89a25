/**
 * Durable bytes under names such as `roots/000002.json`: parts of letters, digits, `.`, `_` and `-`, joined by `/`.
 * What the bytes mean is the caller's business. Every failure is a StoreError.
 */
export interface Store {
  readonly get: (name: string) => Promise<Uint8Array | undefined>
  /**
   * Writes all of it or nothing. A name that is taken stays as it is, so no writer can undo another's work.
   *
   * @returns `'exists'` when the name was taken, whatever it holds.
   */
  readonly put: (name: string, bytes: Uint8Array) => Promise<'written' | 'exists'>
  /** Names directly below the prefix, which ends in `/`. Empty when there is nothing. */
  readonly list: (prefix: string) => Promise<readonly string[]>
  /** What it holds ends with the process: not worth its memory for what can be fetched again. */
  readonly volatile?: boolean
  /** Nothing happens when the name is not there. */
  readonly delete: (name: string) => Promise<void>
  /** Rejects with a StoreError when others may write here: they could make the library forget, though never trust. */
  readonly inspect?: () => Promise<void>
}

/** Whether a name can mean one thing only on every file system: no `..`, no separator of another system, no device name. */
export function isStoreName(name: string): boolean {
  return name.length <= 255 && name.split('/').every((part) => /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,120}$/.test(part))
}
