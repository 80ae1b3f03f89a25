import { expect, test, vi } from 'vitest'
import { createEmitter, followerOf } from '../../src/events/emitter.ts'

const event = { type: 'posture', subject: 'a', effect: 'b' } as const

test('a listener hears its own type only, until it unsubscribes', () => {
  const { emit, on } = createEmitter()
  const heard: string[] = []
  const off = on('posture', ({ subject }) => heard.push(subject))
  on('tls.retired', () => heard.push('other'))
  emit(event)
  off()
  emit(event)
  expect(heard).toEqual(['a'])
})

test('a listener that throws stops neither the emitter nor the other listeners, and its error is not lost', async () => {
  const { emit, on } = createEmitter()
  const uncaught = new Promise<unknown>((resolve) => {
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', (error) => {
      for (const listener of before) process.on('uncaughtException', listener)
      resolve(error)
    })
  })
  const bug = new Error('a bug of the listener')
  let heard = 0
  on('posture', () => {
    throw bug
  })
  on('posture', () => heard++)
  emit(event)
  expect(heard).toBe(1)
  expect(await uncaught).toBe(bug)
})

test('who follows hears as everybody does, and what is told of does not wait for it', () => {
  const { emit, on, follow, hasListeners, isAwaited } = createEmitter()
  const heard: string[] = []
  const end = follow('posture', ({ subject }) => heard.push(subject))
  expect([hasListeners('posture'), isAwaited('posture')]).toEqual([true, false])
  const off = on('posture', () => undefined)
  emit(event)
  expect([heard, isAwaited('posture')]).toEqual([['a'], true])
  end()
  end()
  expect([hasListeners('posture'), isAwaited('posture')]).toEqual([true, true])
  off()
  emit(event)
  expect([heard, hasListeners('posture'), isAwaited('posture')]).toEqual([['a'], false, false])
})

test('what was put off is told in a later turn, once, and before a follower stops listening', async () => {
  const { emit, on, later, catchUp } = createEmitter()
  const heard: string[] = []
  const end = followerOf(on)('posture', ({ subject }) => heard.push(subject))
  const tell = (subject: string) => later(() => emit({ ...event, subject }))
  tell('a')
  expect(heard).toEqual([])
  await vi.waitUntil(() => heard.length === 1)
  tell('b')
  catchUp()
  tell('c')
  end()
  await new Promise((resolve) => void setTimeout(resolve, 20))
  expect(heard).toEqual(['a', 'b', 'c'])
})

test('an `on` that is of no emitter is followed like any other', () => {
  const asked: string[] = []
  followerOf((type) => () => void asked.push(type))('posture', () => undefined)()
  expect(asked).toEqual(['posture'])
})
