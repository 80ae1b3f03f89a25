import { join } from 'node:path'
import * as z from 'zod'
import { parseStrictJson } from '../encoding/json.ts'
import { isPinText, type PinText } from '../encoding/pin.ts'
import type { Rotation } from '../publisher/rotation.ts'
import { readIfPresent, writeWhole } from './files.ts'
import { UsageError } from './outcome.ts'
import { dateOf } from './text.ts'

/*
 * Rotations under way, in `rotations.json` beside the working list: what makes a rotation go on after a crash, from another
 * machine, or by another person. Nothing in it is secret, and clients never read it.
 */

export async function readRotations(directory: string): Promise<readonly Rotation[]> {
  const path = rotationsPath(directory)
  const bytes = await readIfPresent(path)
  if (bytes === undefined) return []
  const json = parseStrictJson(bytes)
  const parsed = Shape.safeParse(json.ok ? json.value : undefined)
  if (parsed.success) return parsed.data.rotations
  const [issue] = parsed.error.issues
  const problem = json.ok ? `${issue?.path.map(String).join('.')}: ${issue?.message}` : 'not JSON'
  const hint = 'Restore it from version control, or delete it: pins and publications stay as they are.'
  throw new UsageError(`${path}: ${problem}`, hint, 'ERR_CONFIG_FILE')
}

/** In place of the record of the same entry. */
export async function saveRotation(directory: string, rotation: Rotation): Promise<void> {
  await write(directory, [...(await othersThan(directory, rotation)), rotation])
}

export async function dropRotation(directory: string, rotation: Rotation): Promise<void> {
  await write(directory, await othersThan(directory, rotation))
}

const rotationsPath = (directory: string): string => join(directory, 'rotations.json')

async function othersThan(directory: string, { host, port }: Rotation): Promise<readonly Rotation[]> {
  return (await readRotations(directory)).filter((other) => other.host !== host || other.port !== port)
}

async function write(directory: string, rotations: readonly Rotation[]): Promise<void> {
  const dated = rotations.map(({ startedAt, announced, swappedAt, finishedAt, ...rest }) => ({
    ...rest,
    startedAt: dateOf(startedAt),
    ...(announced === undefined ? {} : { announced: { at: dateOf(announced.at), ready: dateOf(announced.ready) } }),
    ...(swappedAt === undefined ? {} : { swappedAt: dateOf(swappedAt) }),
    ...(finishedAt === undefined ? {} : { finishedAt: dateOf(finishedAt) }),
  }))
  const text = `${JSON.stringify({ rotations: dated }, null, 2)}\n`
  await writeWhole(rotationsPath(directory), text, { replace: true })
}

const Instant = z.iso.datetime().transform((text) => Date.parse(text))
const Pin = z.custom<PinText>((value) => typeof value === 'string' && isPinText(value), 'expected a pin')
const Shape = z.strictObject({
  rotations: z.array(
    z.strictObject({
      host: z.string(),
      port: z.int().min(1).max(65_535).exactOptional(),
      retire: Pin,
      adopt: Pin,
      startedAt: Instant,
      announced: z.strictObject({ at: Instant, ready: Instant }).exactOptional(),
      swappedAt: Instant.exactOptional(),
      finishedAt: Instant.exactOptional(),
    }),
  ),
})
