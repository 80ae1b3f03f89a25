import { createHash } from 'node:crypto'
import * as z from 'zod'
import { decodeBase64, decodeBase64Url } from '../encoding/base64.ts'
import { parseStrictJson } from '../encoding/json.ts'

/** The documents of a repository that travel as one piece: in an environment variable, or in one mounted file. */
export interface Bundle {
  /** The signed document that a client asks for under this path; `undefined` when it is not in the bundle. */
  readonly get: (path: string) => Uint8Array | undefined
}

/**
 * Reads `{ "status": …, "manifest": …, "roots": [root 1, root 2, …] }`, each member a signed document as it is published, as
 * JSON or as the base64 of that JSON. `roots` may be left out while root 1 is the newest. Nothing is verified here: who takes
 * a document out of a bundle verifies it like one from anywhere else, and holds the signed bytes, which the document carries.
 *
 * @returns `undefined` for bytes that are no bundle.
 */
export function parseBundle(bytes: Uint8Array): Bundle | undefined {
  const json = parseStrictJson(decoded(bytes))
  const bundle = BundleShape.safeParse(json.ok ? json.value : undefined)
  if (!bundle.success) return undefined
  const { status, manifest, roots } = bundle.data
  const payload = decodeBase64Url(manifest.payload) ?? new Uint8Array()
  const manifestName = `.${createHash('sha256').update(payload).digest('hex')}.json`
  const at = (path: string): object | undefined => {
    if (path === 'status.json') return status
    if (path.startsWith('manifests/')) return path.endsWith(manifestName) ? manifest : undefined
    return roots[Number(/^roots\/(\d{1,9})\.json$/.exec(path)?.[1]) - 1]
  }
  return {
    get: (path) => {
      const document = at(path)
      return document === undefined ? undefined : new TextEncoder().encode(JSON.stringify(document))
    },
  }
}

/** JSON begins with a brace, so it is never base64. */
function decoded(bytes: Uint8Array): Uint8Array {
  return decodeBase64(Buffer.from(bytes).toString('latin1').replace(/\s/g, '')) ?? bytes
}

const Document = z.looseObject({ payload: z.string() })

const BundleShape = z.strictObject({ status: Document, manifest: Document, roots: z.array(Document).default([]) })
