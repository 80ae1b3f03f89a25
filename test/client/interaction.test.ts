import { PolicyError } from 'pinfetch'
import { describe, expect, test } from 'vitest'
import { createInteractions, InteractionSchema } from '../../src/client/interaction.ts'
import { systemRuntime } from '../../src/ports/system.ts'
import { refusalOf } from '../support/client.ts'

const API = 'https://api.example.com'
const HEADER = 'x-fapi-interaction-id'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** A fetch whose server answers as told, with the id that it was asked with. */
function stage(answer: (id: string | null) => Response, options: object = {}) {
  const asked: (string | null)[] = []
  const rules = InteractionSchema.parse({ origins: ['api.example.com'], ...options })
  const fetch = createInteractions(
    rules,
    systemRuntime,
  )(async (input, init) => {
    const id = new Request(input, init).headers.get(HEADER)
    asked.push(id)
    return answer(id)
  })
  return { asked, fetch }
}

const echo = (id: string | null, init: ResponseInit = {}): Response =>
  new Response('x', { ...init, headers: id === null ? {} : { [HEADER]: id } })

describe('an interaction id', () => {
  test('is a UUID of its own for each call', async () => {
    const { fetch, asked } = stage(echo)
    for (const _ of 'abc') expect(await (await fetch(`${API}/`)).text()).toBe('x')
    expect(new Set(asked).size).toBe(3)
    for (const id of asked) expect(id).toMatch(UUID)
  })

  test('is what the caller gave, in a Request too', async () => {
    const { fetch, asked } = stage(echo)
    await fetch(`${API}/`, { headers: { 'X-FAPI-Interaction-ID': 'own-1' } })
    await fetch(new Request(`${API}/`, { headers: { [HEADER]: 'own-2' } }))
    expect(asked).toEqual(['own-1', 'own-2'])
  })

  test('that is empty is none: the call gets one', async () => {
    const { fetch, asked } = stage(echo)
    await fetch(`${API}/`, { headers: { [HEADER]: '' } })
    expect(asked).toEqual([expect.stringMatching(UUID)])
  })

  test('may come back in capitals', async () => {
    expect((await stage((id) => echo(String(id).toUpperCase())).fetch(`${API}/`)).status).toBe(200)
  })

  test.each([200, 201, 302, 400, 500])(
    'of another call is refused, whatever the status (%i): ERR_POLICY_INTERACTION_ID',
    async (status) => {
      const { fetch } = stage(() => echo('c0ffee00-0000-4000-8000-000000000000', { status }))
      const error = await refusalOf(fetch(`${API}/`), 'ERR_POLICY_INTERACTION_ID')
      expect(error).toBeInstanceOf(PolicyError)
      expect(error).toMatchObject({ status, requestSent: 'yes', retryable: false })
    },
  )

  test('twice is none of ours: ERR_POLICY_INTERACTION_ID', async () => {
    await refusalOf(stage((id) => echo(`${id}, ${id}`)).fetch(`${API}/`), 'ERR_POLICY_INTERACTION_ID')
  })

  test('may be missing where the call failed, and not where it succeeded: ERR_POLICY_INTERACTION_ID', async () => {
    for (const status of [302, 404, 502])
      expect((await stage(() => echo(null, { status })).fetch(`${API}/`)).status).toBe(status)
    await refusalOf(stage(() => echo(null)).fetch(`${API}/`), 'ERR_POLICY_INTERACTION_ID')
  })

  test('goes to the origins that are named alone', async () => {
    const { fetch, asked } = stage(() => echo(null))
    expect((await fetch('https://other.example/')).status).toBe(200)
    expect((await fetch(`${API}:8443/`)).status).toBe(200)
    expect(asked).toEqual([null, null])
  })

  test('is no way to inject a field: ERR_POLICY_HEADER_INVALID', async () => {
    const { fetch, asked } = stage(echo)
    await refusalOf(fetch(`${API}/`, { headers: { [HEADER]: 'a\r\nb: c' } }), 'ERR_POLICY_HEADER_INVALID')
    expect(asked).toEqual([])
  })

  test.each([[{}], [{ origins: [] }], [{ origins: ['*'] }], [{ origins: ['a.example'], header: 'X Y' }]])(
    '%j are no rules',
    (rules) => {
      expect(InteractionSchema.safeParse(rules).success).toBe(false)
    },
  )
})
