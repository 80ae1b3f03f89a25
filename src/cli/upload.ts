import { join } from 'node:path'
import { StoreError } from '../errors/errors.ts'
import { runCommand, wordsOf } from '../publisher/command.ts'
import { inPublishOrder, writeRepository } from '../publisher/directory.ts'
import { UsageError } from './outcome.ts'

/** Where signed documents go. Called with what no client is told of yet, then with the status alone. */
export type Upload = (files: ReadonlyMap<string, Uint8Array>) => Promise<readonly string[]>

export const uploadToFolder =
  (folder: string): Upload =>
  (files) =>
    writeRepository(folder, files)

/**
 * Hands each file to a program, in order: `aws s3 cp {file} s3://pins/{path}`. No shell reads the line.
 *
 * @param directory Where the files lie.
 * @throws UsageError for a line without its places.
 */
export function uploadByCommand(line: string, directory: string, signal?: AbortSignal): Upload {
  const words = wordsOf(line)
  if (words === undefined || words.length === 0 || !line.includes('{file}') || !line.includes('{path}')) {
    const hint = 'Example: --command "aws s3 cp {file} s3://pins/{path}"'
    throw new UsageError(`--command ${JSON.stringify(line)}: names no {file} or no {path}`, hint)
  }
  return async (files) => {
    const uploaded: string[] = []
    for (const [path] of inPublishOrder(files)) {
      const file = join(directory, path)
      const filled = words.map((word) => word.replaceAll('{file}', () => file).replaceAll('{path}', () => path))
      const { exitCode, complaint } = await runCommand(filled, new Uint8Array(), signal)
      if (exitCode !== 0) {
        const done = uploaded.length === 0 ? 'nothing was uploaded' : `uploaded before: ${uploaded.join(', ')}`
        throw new StoreError('ERR_STORE_WRITE', `${path}: ${filled[0]} failed (${complaint}); ${done}`)
      }
      uploaded.push(path)
    }
    return uploaded
  }
}
