/** Lets sockets and other callers have their turn in the middle of long work. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** The same without a promise, for what every request does. */
export const inNextTurn = (run: () => void): void => void setImmediate(run)

/** Later than what was begun in this turn and waits for another: its requests are on their way by then. */
export const inLaterTurn = (run: () => void): void => inNextTurn(() => inNextTurn(() => inNextTurn(run)))
