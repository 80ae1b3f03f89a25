import { describe, expect, test } from 'vitest'
import { refusalOf } from '../support/client.ts'
import { start } from './raw-stage.ts'

const answering = (head: string) => start({ reply: (socket) => socket.end(`${head}\r\ncontent-length: 2\r\n\r\nhi`) })

describe('a status that no response has', () => {
  test.each([['000'], ['001'], ['020'], ['099'], ['100'], ['101']])('%s: ERR_TRANSPORT_PROTOCOL', async (status) => {
    const { send, heads } = await answering(`HTTP/1.1 ${status} X`)
    const error = await refusalOf(send(), 'ERR_TRANSPORT_PROTOCOL')
    expect([error.requestSent, heads.length]).toEqual(['yes', 1])
  })

  test('the least and the most that there is are handed over, as is what follows interim ones', async () => {
    expect((await (await answering('HTTP/1.1 200 X')).send()).status).toBe(200)
    expect((await (await answering('HTTP/1.1 999 X')).send()).status).toBe(999)
    expect((await (await answering('HTTP/1.1 102 X\r\n\r\nHTTP/1.1 103 X\r\n\r\nHTTP/1.1 201 X')).send()).status).toBe(
      201,
    )
  })
})
