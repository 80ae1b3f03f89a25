/** Lets sockets and other callers have their turn in the middle of long work. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))
