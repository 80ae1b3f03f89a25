import type { Reasoned } from '../survivors.ts'

export const MANIFEST: Readonly<Record<string, readonly Reasoned[]>> = {
  'src/manifest/accept.ts': [
    {
      why: 'an undefined member is dropped as well',
      line: 'return { document, ...(version === undefined ? {} : { version }), ...(source === undefined ? {} : { source }) }',
      mutants: ['version === undefined → false', 'source === undefined → false'],
    },
  ],
  'src/manifest/cache.ts': [
    {
      why: 'verifying throws ManifestErrors alone, whatever a store answers; anything else would be a fault of ours',
      line: 'if (!(error instanceof ManifestError)) throw error',
      mutants: ['!(error instanceof ManifestError) → false'],
    },
    {
      why: 'a name that is none of a document is left out in the next line',
      line: 'const names = await bestEffort(() => store.list(`${base}${kind}/`), [])',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'an absent blob is no list of hosts either: both leave the manifest a floor, and why is not told',
      line: 'if (blob === undefined) throw blobMissing(reference)',
      mutants: ['blob === undefined → false'],
    },
    {
      why: 'the set is asked for names of stored documents alone, and this is none',
      line: '? []',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'only for the compiler: without a newest manifest no pointer has its hash, so the other half of the condition holds',
      line: 'if (newest === undefined || named === undefined) return undefined',
      mutants: ['newest === undefined → false'],
    },
    {
      why: 'only for the compiler: the status whose pointer was found a few lines above is one that is found here',
      line: 'if (behind === undefined) return undefined',
      mutants: ['behind === undefined → false'],
    },
    {
      why: 'only saves verifying again: under the same root the second verification comes to the same',
      line: 'const current = (document: { readonly rootVersion: number }): boolean => document.rootVersion === root.version',
      mutants: [
        '(document: { readonly rootVersion: number }): boolean => document.rootVersion =… → () => undefined',
        'document.rootVersion === root.version → false',
      ],
    },
  ],
  'src/manifest/custom-source.ts': [
    {
      why: 'calling what is no function fails in a promise whose failure is of no consequence by then',
      line: "subscribed.then((end) => (typeof end === 'function' ? end() : undefined)).catch(() => undefined) // told when it happened, or of no consequence any more",
      mutants: ["typeof end === 'function' → true"],
    },
  ],
  'src/manifest/expiries.ts': [
    {
      why: 'For the types: a key that the table names as dated has its entry.',
      line: 'return entry === undefined ? [] : ofEntry(entry)',
      mutants: ['[] → ["Stryker was here"]', 'entry === undefined → false'],
    },
    {
      why: 'An end that is undefined is after nothing, so the filter in expiriesIn leaves such a pin out, too.',
      line: "notAfter === undefined ? [] : [{ what: 'pin', subject: `${name} ${spki}`, notAfter }],",
      mutants: ['notAfter === undefined → false'],
    },
  ],
  'src/manifest/fetch-document.ts': [
    {
      why: 'ManifestError leaves out what is undefined; the condition is for the compiler (exactOptionalPropertyTypes)',
      line: 'return refusal(code, where, `answered HTTP ${status}`, retryAfterMs === undefined ? {} : { retryAfterMs })',
      mutants: ['retryAfterMs === undefined → false'],
    },
  ],
  'src/manifest/host-changes.ts': [
    {
      why: 'For the types: a key that the table names has its entry.',
      line: 'if (old === undefined || entry === undefined) {',
      mutants: ['entry === undefined → false'],
    },
    {
      why: 'For the types: the schema holds positions of allOf to the listed pins, so the pin is there.',
      line: 'return allOf?.map((positions) => positions.flatMap((position) => pins[position] ?? [])) ?? [pins]',
      mutants: ['[] → ["Stryker was here"]'],
    },
  ],
  'src/manifest/host-table.ts': [
    {
      why: 'How much room a table is given at first: memory and time only, it grows where it must.',
      line: 'this.#bytes = Buffer.alloc(Math.ceil(expectedBytes * 1.25)) // the keys come on top',
      mutants: ['expectedBytes * 1.25 → expectedBytes / 1.25'],
      onlyCost: true,
    },
    {
      why: 'How much room a table is given at first: memory and time only, it grows where it must.',
      line: 'this.#slots = new Uint32Array(2 ** Math.max(4, Math.ceil(Math.log2(expectedBytes / 64))))',
      mutants: ['expectedBytes / 64 → expectedBytes * 64'],
      onlyCost: true,
    },
    {
      why: 'The slots double one entry sooner: memory only.',
      line: 'if (this.#size * 2 > this.#slots.length) this.#grow()',
      mutants: ['this.#size * 2 > this.#slots.length → this.#size * 2 >= this.#slots.length'],
      onlyCost: true,
    },
    {
      why: 'Probing goes down instead of up, in adding and in finding alike: the same entries are found.',
      line: 'for (let slot = hashOf(key) & mask; ; slot = (slot + 1) & mask) {',
      mutants: ['slot + 1 → slot - 1'],
    },
    {
      why: 'Room for more is made when there was just enough: memory only.',
      line: 'if (needed <= this.#bytes.length) return',
      mutants: ['needed <= this.#bytes.length → needed < this.#bytes.length'],
      onlyCost: true,
    },
    {
      why: 'Another hash for every key: the same entries are found by probing, only the time differs.',
      line: 'for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)',
      mutants: ['at < key.length → at <= key.length'],
      onlyCost: true,
    },
  ],
  'src/manifest/hosts.ts': [
    {
      why: 'How much room the table is given at first: memory and time only, it grows where it must.',
      line: 'const expectedBytes = (hosts?.length ?? 0) * 256 + (blobs ?? []).reduce((sum, { length }) => sum + length, 0)',
      mutants: ['(hosts?.length ?? 0) * 256 → (hosts?.length ?? 0) / 256', '[] → ["Stryker was here"]'],
      onlyCost: true,
    },
  ],
  'src/manifest/in-force.ts': [
    {
      why: 'For the types: of all discoveries only a manifest can have `changes`, which the same condition asks for.',
      line: "if (discovery.type === 'manifest' && discovery.changes !== undefined) {",
      mutants: ["discovery.type === 'manifest' → true"],
    },
  ],
  'src/manifest/knowledge.ts': [
    {
      why: 'For the types: every kind of discovery returns above, so the default is never reached.',
      line: 'default:',
      mutants: ['default: return discovery satisfies never → default:'],
    },
  ],
  'src/manifest/outage.ts': [
    {
      why: 'only events of the cache carry these two codes, so asking for the type as well is for the compiler',
      line: "const isOutage = event.type === 'manifest.cacheError' && OUTAGE.has(event.code)",
      mutants: ["event.type === 'manifest.cacheError' → true"],
    },
  ],
  'src/manifest/payload.ts': [
    {
      why: 'ManifestError leaves out a source that is undefined, so an absent one and an undefined one give the same error.',
      line: 'const unknownVersion: Where = { document: type, ...(source === undefined ? {} : { source }) }',
      mutants: ['source === undefined → false'],
    },
  ],
  'src/manifest/peers.ts': [
    {
      why: 'what is no note then has no instant, and notes without an instant before now are left out in the next line',
      line: 'if (match === null) return []',
      mutants: ['[] → ["Stryker was here"]'],
    },
  ],
  'src/manifest/poll.ts': [
    {
      why: 'only for the compiler: after a refresh that succeeded a status is known',
      line: 'if (status !== undefined) await peers.tell(status)',
      mutants: ['status !== undefined → true'],
    },
  ],
  'src/manifest/read-document.ts': [
    {
      why: 'For the types: whatever the file system throws is an Error, and one without a code is not ENOENT or ENOTDIR either.',
      line: "if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))",
      mutants: [
        "error instanceof Error && 'code' in error → true",
        "error instanceof Error && 'code' in error → error instanceof Error || 'code' in error",
      ],
    },
  ],
  'src/manifest/refresh.ts': [
    {
      why: 'only for the compiler: acceptStatus and a 304 say unchanged to a client with a trusted status alone',
      line: "if (status === undefined) throw new TypeError('an unchanged status without a trusted one')",
      mutants: ['status === undefined → false'],
    },
    {
      why: 'the text of a throw that cannot be reached, see the condition before it',
      line: "if (status === undefined) throw new TypeError('an unchanged status without a trusted one')",
      mutants: ['\'an unchanged status without a trusted one\' → ""'],
    },
    {
      why: 'the kind is compared with accepted alone, so any other value means unchanged',
      line: "return { kind: 'unchanged' }",
      mutants: ["{ kind: 'unchanged' } → {}", '\'unchanged\' → ""'],
    },
    {
      why: 'only for the compiler: without a trusted status in its context acceptStatus never says unchanged',
      line: "if (again.kind === 'unchanged') return status",
      mutants: ["again.kind === 'unchanged' → false", '\'unchanged\' → ""'],
    },
    {
      why: 'the value that is kept is always undefined: it says that a mirror has no such document',
      line: 'absent = { value }',
      mutants: ['{ value } → {}'],
    },
  ],
  'src/manifest/revocations.ts': [
    {
      why: 'ManifestError leaves out a source that is undefined, so an absent one and an undefined one give the same error.',
      line: "const where: Where = { document: 'manifest', version, ...(source === undefined ? {} : { source }) }",
      mutants: ['source === undefined → false'],
    },
  ],
  'src/manifest/root.ts': [
    {
      why: 'ManifestError leaves out a source that is undefined, so an absent one and an undefined one give the same error.',
      line: "const served: Where = { document: 'root', ...(source === undefined ? {} : { source }) }",
      mutants: ['source === undefined → false'],
    },
    {
      why: 'A y that is undefined is none for OpenSSL, for jose and for the thumbprint of an OKP key.',
      line: 'const jwk: PublicJwk = y === undefined ? { kty, crv, x } : { kty, crv, x, y }',
      mutants: ['y === undefined → false'],
    },
    {
      why: 'An empty catch answers undefined, which says "no key" as false does.',
      line: '} catch {',
      mutants: ['{ return false // whatever OpenSSL calls it: these coordinates are no key } → {}'],
    },
  ],
  'src/manifest/schema.ts': [
    {
      why: 'What stands behind the seconds does not survive the round trip through Date two lines below, so the end of the pattern refuses nothing more.',
      line: 'if (!/^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z$/.test(text)) return undefined',
      mutants: ['/^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z$/ → /^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z/'],
    },
    {
      why: 'For the types: text that is no base64 gives undefined, which isCertificate reads as no bytes and refuses.',
      line: 'if (der !== undefined && isCertificate(der)) return der',
      mutants: ['der !== undefined → true'],
    },
    {
      why: 'parseCertificate throws nothing but DerError; the rethrow keeps a fault of our own from being read as a bad certificate.',
      line: '} catch (error) {',
      mutants: ['{ if (error instanceof DerError) return false throw error } → {}'],
    },
    {
      why: 'parseCertificate throws nothing but DerError; the rethrow keeps a fault of our own from being read as a bad certificate.',
      line: 'if (error instanceof DerError) return false',
      mutants: ['error instanceof DerError → true'],
    },
  ],
  'src/manifest/sources.ts': [
    {
      why: 'unreachable: the kinds of location are a closed union, this is its exhaustiveness check',
      line: 'default:',
      mutants: ['default: return location satisfies never → default:'],
    },
  ],
  'src/manifest/startup.ts': [
    {
      why: 'the phase is compared with ready and over alone; any other text means waiting',
      line: "let phase: 'waiting' | 'ready' | 'over' = 'waiting'",
      mutants: ['\'waiting\' → ""'],
    },
  ],
  'src/manifest/updater.ts': [
    {
      why: 'the first poll of a process asks the source anyway, since none was asked before, and puts this to false',
      line: 'let demanded = false',
      mutants: ['false → true'],
    },
    {
      why: 'only saves work: a closed state takes nothing in, events are silent and no poll is armed',
      line: 'if (closing.signal.aborted) return',
      mutants: ['closing.signal.aborted → false'],
    },
    {
      why: 'only for the compiler: while the state is fresh a status is known',
      line: "armPoll(inForce.state().kind === 'fresh' ? firstPollMs(known.status?.payload.poll, random) : 0)",
      mutants: ['known.status?.payload → known.status.payload'],
    },
    {
      why: 'a fault of ours passes through here on its way out; as the reason of a start it would only be worded otherwise',
      line: 'if (error instanceof ManifestError) failure = error',
      mutants: ['error instanceof ManifestError → true'],
    },
    {
      why: 'only for the compiler: an attempt ends before this while nothing is known',
      line: 'poll: inForce.known()?.status?.payload.poll,',
      mutants: ['inForce.known()?.status → inForce.known().status'],
    },
    {
      why: 'only saves work: an attempt after the end ends before it asks anything',
      line: "if (kind === 'cold' || kind === 'closed') return",
      mutants: ["kind === 'closed' → false", '\'closed\' → ""'],
    },
    {
      why: 'only saves work: an attempt after the end ends before it asks anything',
      line: 'if (!closing.signal.aborted) demand().catch(reported)',
      mutants: ['!closing.signal.aborted → true'],
    },
    {
      why: 'a fault of ours would then be silent instead of an unhandled rejection, which ends a test run instead of failing a test',
      line: 'function reported(error: unknown): void {',
      mutants: ['{ if (!(error instanceof ManifestError)) throw error } → {}'],
    },
    {
      why: 'a fault of ours would then be silent instead of an unhandled rejection, which ends a test run instead of failing a test',
      line: 'if (!(error instanceof ManifestError)) throw error',
      mutants: ['!(error instanceof ManifestError) → false'],
    },
  ],
  'src/manifest/watch.ts': [
    {
      why: 'set to true at the beginning of each look, before it is read',
      line: 'let lookAgain = false',
      mutants: ['false → true'],
    },
    {
      why: 'only for the compiler: nothing in this block fails otherwise than with a code of the system, and if it did, rethrowing or not is all that differs',
      line: '} catch (error) {',
      mutants: ["{ if (error instanceof Error && 'code' in error) return undefined // no such li… → {}"],
    },
    {
      why: 'only for the compiler: nothing in this block fails otherwise than with a code of the system, and if it did, rethrowing or not is all that differs',
      line: "if (error instanceof Error && 'code' in error) return undefined // no such list, or nothing there to be mounted",
      mutants: [
        "error instanceof Error && 'code' in error → true",
        "error instanceof Error && 'code' in error → error instanceof Error || 'code' in error",
      ],
    },
    {
      why: 'for a line of mountinfo that is too short: no path of a file reads like either text',
      line: "return [fields[4] ?? '', fields[3] ?? '']",
      mutants: ['\'\' → "Stryker was here!"'],
    },
    {
      why: 'only for the compiler: nothing in this block fails otherwise than with a code of the system, and if it did, rethrowing or not is all that differs',
      line: "if (error instanceof Error && 'code' in error) return String(error.code)",
      mutants: [
        "error instanceof Error && 'code' in error → true",
        "error instanceof Error && 'code' in error → error instanceof Error || 'code' in error",
      ],
    },
  ],
}
