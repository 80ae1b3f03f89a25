import type { Reasoned } from '../survivors.ts'

export const REVOCATION: Readonly<Record<string, readonly Reasoned[]>> = {
  'src/trust/revocation/check.ts': [
    {
      why: 'Reading the list of TLS features throws DerError and nothing else.',
      line: 'if (error instanceof DerError) return true',
      mutants: ['error instanceof DerError → true'],
    },
    {
      why: 'For types only: a reason that RFC 5280 does not define is refused where a list or response is read.',
      line: "const why = reason === undefined ? '' : ` (${REASONS[reason] ?? `reason ${reason}`})`",
      mutants: ['`reason ${reason}` → ``'],
    },
    {
      why: 'For types only: a short life never says revoked, so its name is in no message.',
      line: "'short-lived': 'life',",
      mutants: ['\'life\' → ""'],
    },
    {
      why: 'For types only: what a responder answered is told as of the cache, so this source never says revoked.',
      line: "ocsp: 'OCSP responder',",
      mutants: ['\'OCSP responder\' → ""'],
    },
  ],
  'src/trust/revocation/crl-pool.ts': [
    {
      why: 'nothing but a DerError is thrown there; the check keeps an error that is a fault of ours from passing for bad bytes',
      line: 'if (!(error instanceof DerError)) throw error',
      mutants: ['!(error instanceof DerError) → false'],
    },
  ],
  'src/trust/revocation/crl-scope.ts': [
    {
      why: 'a text among names is neither a directory name nor an address and matches nothing; among points it has neither name nor signer, as the implied point that is always there',
      line: 'const named = distributionPointsOf(certificate).flatMap(({ crlIssuer = [] }) => directoryNamesOf(crlIssuer))',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'a text among names is neither a directory name nor an address and matches nothing; among points it has neither name nor signer, as the implied point that is always there',
      line: 'if (extension === undefined) return []',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'nothing but a DerError is thrown there; the check keeps an error that is a fault of ours from passing for bad bytes',
      line: 'if (error instanceof DerError) return []',
      mutants: ['error instanceof DerError → true'],
    },
    {
      why: 'a text among names is neither a directory name nor an address and matches nothing; among points it has neither name nor signer, as the implied point that is always there',
      line: 'if (error instanceof DerError) return []',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'for types alone: a point without any name has a cRLIssuer, or it is not read',
      line: 'const pointNames = namesOf(point, crlIssuers?.[0] ?? issuer) ?? new Set(crlIssuers?.map(comparableDirectory))',
      mutants: ['crlIssuers?.map → crlIssuers.map'],
    },
    {
      why: 'a text among names is neither a directory name nor an address and matches nothing; among points it has neither name nor signer, as the implied point that is always there',
      line: "return name.kind === 'uri' ? [`uri:${name.text}`] : []",
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'a text among names is neither a directory name nor an address and matches nothing; among points it has neither name nor signer, as the implied point that is always there',
      line: "return names.flatMap((name) => (name.kind === 'directory' ? [name.name] : []))",
      mutants: ['[] → ["Stryker was here"]'],
    },
  ],
  'src/trust/revocation/crl-set.ts': [
    {
      why: 'what is good has no causes here, and a revoked one has been returned before',
      line: "const causes = verdicts.flatMap((verdict) => (verdict.status === 'undetermined' ? verdict.causes : []))",
      mutants: ["verdict.status === 'undetermined' → true"],
    },
    {
      why: 'for types alone: the others have been returned before',
      line: "const [first, ...others] = verdicts.filter((verdict) => verdict.status === 'good')",
      mutants: [
        "verdict.status === 'good' → true",
        "verdicts.filter((verdict) => verdict.status === 'good') → verdicts",
      ],
    },
    {
      why: 'for types alone: no number is above undefined',
      line: 'if (isOfList && above !== undefined && (delta.crl.crlNumber ?? 0n) > above) newest = delta',
      mutants: ['above !== undefined → true'],
    },
    {
      why: 'one value that no extension has stands for no extension, on both sides of the comparison',
      line: "Buffer.from(extensions.get(ISSUING_DISTRIBUTION_POINT)?.value ?? []).toString('hex')",
      mutants: ['[] → ["Stryker was here"]'],
    },
  ],
  'src/trust/revocation/crl-signers.ts': [
    {
      why: 'for types alone: the index is of a certificate of the path',
      line: 'const isNamed = certificates[index]?.issuer.key !== crl.issuer.key // by the issuer, as cRLIssuer',
      mutants: ['certificates[index]?.issuer → certificates[index].issuer'],
    },
    {
      why: 'for types alone: the anchor ends every path of a signer that is not itself on the path, and is on the path',
      line: 'if (certifier !== undefined && isOn(path, certifier)) return',
      mutants: ['certifier !== undefined → true'],
    },
    {
      why: 'not told: the issuer on the path bears the same name, is tried first, and why it does not count is what is told',
      line: "throw unauthorized(signer, 'was certified by neither the issuer nor a CA above it')",
      mutants: ['\'was certified by neither the issuer nor a CA above it\' → ""'],
    },
    {
      why: 'nothing but a DerError is thrown there; the check keeps an error that is a fault of ours from passing for bad bytes',
      line: 'if (error instanceof DerError) return [] // superfluous certificates may be anything',
      mutants: ['error instanceof DerError → true'],
    },
  ],
  'src/trust/revocation/crl.ts': [
    {
      why: 'for types alone: the reader fills every member before one is read',
      line: 'readonly #entry: CrlEntry = { serialStart: 0, serialEnd: 0, revokedAt: 0, about: {} }',
      mutants: ['{ serialStart: 0, serialEnd: 0, revokedAt: 0, about: {} } → {}'],
    },
    {
      why: 'for types alone: the head comes before the first signed octet',
      line: 'onSigned: (bytes) => this.#begun?.signature.update(bytes),',
      mutants: ['this.#begun?.signature → this.#begun.signature'],
    },
    {
      why: 'for types alone: a list that ends has begun',
      line: "if (begun?.signature.verify(signature) !== true) throw badSignature(CRL_CODES, 'the list')",
      mutants: ['begun?.signature → begun.signature'],
    },
    {
      why: 'costs memory only: the number of hashes that an index begins with, which is bounded',
      line: 'this.#own = new SerialIndex(header.entriesLength / TYPICAL_ENTRY_OCTETS)',
      mutants: ['header.entriesLength / TYPICAL_ENTRY_OCTETS → header.entriesLength * TYPICAL_ENTRY_OCTETS'],
    },
    {
      why: 'for types alone: the head comes before the first entry',
      line: 'if (issuer === this.#begun?.header.issuer.key) return this.#own',
      mutants: ['this.#begun?.header → this.#begun.header'],
    },
    {
      why: 'costs memory only: the signed octets are kept until the end in place of being hashed as they come; the verdict on the signature is the same',
      line: "if (!('hash' in algorithm)) {",
      mutants: ["!('hash' in algorithm) → true", '\'hash\' → ""'],
    },
    {
      why: 'for types alone: verify throws where there is no key, which is false as well',
      line: 'if (publicKey === undefined) return false',
      mutants: ['publicKey === undefined → false'],
    },
    {
      why: 'what is not true is a bad signature, undefined as well as false',
      line: '} catch {',
      mutants: ["{ return false // OpenSSL's refusals have no common class } → {}"],
    },
    {
      why: 'the OpenSSL of Node 20 and 24 answers false for all that passes algorithmFor and throws for none of it; the catch is for builds that throw, and stays',
      line: "return false // OpenSSL's refusals have no common class",
      mutants: ['false → true'],
    },
  ],
  'src/trust/revocation/crlite.ts': [
    {
      why: 'a text among the SCTs has no logId, and no filter covers it',
      line: "return 'code' in list ? [] : list.flatMap((one) => ('sct' in one ? [one.sct] : []))",
      mutants: ['[] → ["Stryker was here"]'],
    },
  ],
  'src/trust/revocation/evidence-store.ts': [
    {
      why: 'For types only: room is made when sixty-four are held, so there is an oldest one.',
      line: 'if (oldest === undefined) return',
      mutants: ['oldest === undefined → false'],
    },
    {
      why: 'A text has neither statement nor failure, so it adds nothing to what is at hand.',
      line: 'const known = subjects.flatMap((subject) => items.get(keyOf(subject)) ?? [])',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'For types only: a statement about a list has its list, one of a responder its response.',
      line: 'const statements = known.flatMap(({ statement }) => (statement === undefined ? [] : (pick(statement) ?? [])))',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'A property that is undefined is called as one that is not there: with ?.()',
      line: '...(options.crliteFilters === undefined ? {} : { crliteFilters: options.crliteFilters }),',
      mutants: ['options.crliteFilters === undefined → false'],
    },
    {
      why: 'For types only: a comparison of a number with undefined is false.',
      line: 'const isLower = before !== undefined && after !== undefined && after < before',
      mutants: [
        'before !== undefined && after !== undefined → true',
        'before !== undefined && after !== undefined → before !== undefined || after !== undefined',
        'before !== undefined → true',
        'after !== undefined → true',
      ],
    },
    {
      why: 'A text is no name of kind uri, so it gives no URL.',
      line: 'const urls = urlsOf(points.flatMap(({ fullName = [] }) => fullName))',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'A text has no access method, so it gives no URL.',
      line: 'const { authorityInfoAccess = [] } = certificate.decoded',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: "The kind is compared with 'crl' alone; otherwise it is a part of a key, in which any constant word does.",
      line: "return urls.map((url) => ({ kind: 'ocsp', url, certificate, issuer }))",
      mutants: ['\'ocsp\' → ""'],
    },
    {
      why: 'The text does not begin with http, so it is left out as every other URL of that sort.',
      line: "const uris = names.flatMap((name) => (name.kind === 'uri' ? [name.text] : []))",
      mutants: ['[] → ["Stryker was here"]'],
    },
  ],
  'src/trust/revocation/obtain.ts': [
    {
      why: 'the same addition to the key of every list tells them apart as well as none',
      line: "const about = kind === 'crl' ? '' : ` ${Buffer.from(certificate.serialNumber).toString('hex')}`",
      mutants: ['\'\' → "Stryker was here!"'],
    },
    {
      why: 'At most one empty piece more, which adds nothing to what is read.',
      line: 'for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES)',
      mutants: ['at < bytes.length → at <= bytes.length'],
    },
  ],
  'src/trust/revocation/ocsp.ts': [
    {
      why: "No certificate's extendedKeyUsage holds that text in place of an OID, so the responder is refused all the same.",
      line: 'const { keyUsage, extendedKeyUsage = [] } = responder.decoded',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'Reading the octets of a nonce throws DerError and nothing else.',
      line: 'if (error instanceof DerError) return value',
      mutants: ['error instanceof DerError → true'],
    },
    {
      why: 'Costs time only: the hashes of an issuer are made again in place of being remembered.',
      line: 'if (known !== undefined) return known',
      mutants: ['known !== undefined → false'],
    },
    {
      why: 'For types only: without nextUpdate both comparisons are with undefined, and false.',
      line: 'if (nextUpdate !== undefined && (nextUpdate < thisUpdate || nextUpdate < now - clockSkewMs)) {',
      mutants: ['nextUpdate !== undefined → true'],
    },
    {
      why: 'The empty block answers undefined as well, and parsing a certificate throws DerError and nothing else.',
      line: '} catch (error) {',
      mutants: ['{ if (error instanceof DerError) return undefined // superfluous certificates m… → {}'],
    },
    {
      why: 'Parsing a certificate throws DerError and nothing else.',
      line: 'if (error instanceof DerError) return undefined // superfluous certificates may be anything',
      mutants: ['error instanceof DerError → true'],
    },
  ],
  'src/trust/revocation/serial-index.ts': [
    {
      why: 'costs memory only: as many hashes as there may ever be, whatever is expected',
      line: 'this.#chunks = new Uint32Array(Math.min(Math.max(hashes, MIN_HASHES), MAX_HASHES))',
      mutants: [
        'Math.min(Math.max(hashes, MIN_HASHES), MAX_HASHES) → Math.max(Math.max(hashes, MIN_HASHES), MAX_HASHES)',
      ],
      onlyCost: true,
    },
    {
      why: 'how large the pages are: memory and time only',
      line: 'this.#pageBits = expected > MIN_HASHES * RECORDS_A_HASH ? PAGE_BITS : SMALL_PAGE_BITS',
      mutants: [
        'expected > MIN_HASHES * RECORDS_A_HASH → false',
        'expected > MIN_HASHES * RECORDS_A_HASH → expected <= MIN_HASHES * RECORDS_A_HASH',
        'MIN_HASHES * RECORDS_A_HASH → MIN_HASHES / RECORDS_A_HASH',
      ],
      onlyCost: true,
    },
    {
      why: 'costs memory only: how large the pages are where just 8,192 entries are expected',
      line: 'this.#pageBits = expected > MIN_HASHES * RECORDS_A_HASH ? PAGE_BITS : SMALL_PAGE_BITS',
      mutants: ['expected > MIN_HASHES * RECORDS_A_HASH → expected >= MIN_HASHES * RECORDS_A_HASH'],
      onlyCost: true,
    },
    {
      why: 'costs memory only: a record that would just fit begins a new chunk',
      line: 'if ((next & CHUNK_MASK) === 0 || (next & CHUNK_MASK) + RECORD_HEAD + length > CHUNK_BYTES) next = this.#begin(hash)',
      mutants: [
        '(next & CHUNK_MASK) + RECORD_HEAD + length > CHUNK_BYTES → (next & CHUNK_MASK) + RECORD_HEAD + length >= CHUNK_BYTES',
      ],
    },
    {
      why: 'the place of a chunk is a multiple of 1,024: two octets further is the same page',
      line: 'const page = this.#pages[(chunk - 1) >>> this.#pageBits] ?? NOTHING',
      mutants: ['chunk - 1 → chunk + 1'],
    },
    {
      why: 'what stands behind a full chunk is the highest octet of a place, 0 below 16 MiB of records, or the end of the page',
      line: 'for (let at = start; at < end && page[at] !== 0; at += RECORD_HEAD + (page[at] ?? 0)) {',
      mutants: ['at < end → at <= end'],
    },
  ],
}
