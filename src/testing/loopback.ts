import type { AddressInfo, Server, Socket } from 'node:net'

/** Everything here is reached at this address, and at no other interface of the machine. */
export const LOOPBACK = '127.0.0.1'

/** Starts listening on a loopback port, a free one by default, and answers with it. */
export function listen(server: Server, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, LOOPBACK, () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

/** Stops listening, destroys the sockets and resolves when the last one is gone. Calling it twice is fine. */
export function closeServer(server: Server, sockets: Iterable<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    for (const socket of sockets) socket.destroy()
  })
}
