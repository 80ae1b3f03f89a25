const own = new WeakSet<object>()

/** Notes a connection that a verdict stands behind, or an agent that makes no other. */
export function noteOwn(made: object): void {
  own.add(made)
}

/** Whether one of the clients of this process made it. Apart from what makes them, for who only asks. */
export function isOwn(thing: unknown): boolean {
  return typeof thing === 'object' && thing !== null && own.has(thing)
}
