import type { TLSSocket } from 'node:tls'
import { allowTls12 } from '../../../dangerous/index.ts'
import { nextTurn } from '../../../ports/turn.ts'
import type { Attack, Attempt } from '../attack.ts'
import { asAttempt, control, ended, givenFor, HOST, scenario, startStage, waitFor } from '../stage.ts'

/** Responses that nobody asked for, so that a later request gets the answer of somebody else. */
export const desync: readonly Attack[] = [
  {
    id: 'L37',
    group: 'connections',
    title: 'Sends a response in front of any request, to be taken for the answer to the first',
    codes: ['ERR_TRANSPORT_UNSOLICITED'],
    beatsFetch: true,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const pinfetch = { tls12Hosts: [allowTls12(HOST, { reason: 'the server of TLS 1.2 is who may speak first' })] }
        const open = await keep(contender.open(givenFor(world, [genuine.pin], { pinfetch })))
        const onSocket = (socket: TLSSocket): void => void socket.write(POISON)
        const stage = await startStage(keep, genuine, { maxVersion: 'TLSv1.2', onSocket })
        const ending = await ended(open.fetch(stage.url))
        if (!ending.isAnswered) await stage.relay.idle()
        const attack: Attempt = {
          ...asAttempt(ending), // the certificate is for a server with the pinned key
          applicationOctets: stage.peer.applicationBytes,
          ...(ending.text === 'poison' ? { gained: 'its text was taken for the answer' } : {}),
        }
        const quiet = await startStage(keep, genuine, { maxVersion: 'TLSv1.2' })
        return { attack, control: await control(open, quiet.url) }
      }),
  },
  {
    id: 'L38',
    group: 'connections',
    title: 'Sends a second response behind the first, or while nothing is asked, for whoever asks next',
    codes: [],
    beatsFetch: false,
    run: (contender, world) =>
      scenario(async (keep) => {
        const genuine = world.ca.issue({ names: [HOST] })
        const texts: string[] = []
        for (const when of ['at once', 'later'] as const) {
          let poured: Promise<void> = Promise.resolve()
          const onSocket = answering(when, (writing) => {
            poured = writing
          })
          const { url } = await startStage(keep, genuine, { onSocket })
          const open = await keep(contender.open(givenFor(world, [genuine.pin])))
          for (let round = 0; round < 4; round += 1) {
            texts.push((await ended(open.fetch(url))).text)
            await poured
            await arrival()
          }
        }
        const isPoisoned = texts.includes('poison')
        const attack: Attempt = {
          outcome: isPoisoned ? 'accepted' : 'unharmed',
          applicationOctets: 0,
          sawClientCertificate: false,
          ...(isPoisoned ? { gained: 'its text was taken for the answer to another request' } : {}),
        }
        const { url } = await startStage(keep, genuine)
        return { attack, control: await control(await keep(contender.open(givenFor(world, [genuine.pin]))), url) }
      }),
  },
]

/** @param pours Told of each second response, as a promise that settles when it was written. */
const answering = (when: 'at once' | 'later', pours: (writing: Promise<void>) => void) => {
  const write = (socket: TLSSocket, text: string): Promise<void> =>
    new Promise((resolve) => (socket.writable ? socket.write(text, () => resolve()) : resolve()))
  return (socket: TLSSocket): void => {
    socket.setNoDelay(true) // or the second would wait for the next request
    socket.on('data', () => {
      if (when === 'at once') pours(write(socket, OK + POISON))
      else {
        socket.write(OK)
        pours(waitFor(GAP_MS).then(() => write(socket, POISON)))
      }
    })
  }
}

/** A response that arrives behind a request is its answer, whoever wrote it: so the request waits until the relay has passed it on. */
async function arrival(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await nextTurn()
  await waitFor(GAP_MS * 5)
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const POISON = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison'
const GAP_MS = 20
