/** Lets sockets and other callers have their turn in the middle of long work. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** The same without a promise, for what every request does. */
export const inNextTurn = (run: () => void): void => void setImmediate(run)
