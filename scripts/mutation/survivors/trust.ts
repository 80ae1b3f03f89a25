import type { Reasoned } from '../survivors.ts'

export const TRUST: Readonly<Record<string, readonly Reasoned[]>> = {
  'src/trust/anchors.ts': [
    {
      why: 'Only `store` is asked for; by which word the other origin goes, nobody sees.',
      line: "origin: 'application' | 'store' = 'application',",
      mutants: ['\'application\' → ""'],
    },
    {
      why: "A text that is no digest among the digests of a store's roots: no certificate has it, and only members of the set are asked for.",
      line: "return new Anchors(entries, origin === 'store' ? entries.map(({ sha256 }) => sha256) : [])",
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: "A text that is no digest among the digests of a store's roots: no certificate has it, and only members of the set are asked for.",
      line: '[], // known by their keys',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: "A text that is no digest among the digests of a store's roots: no certificate has it, and only members of the set are asked for.",
      line: 'sets.flatMap((set) => (set instanceof Anchors ? [...set.fromStore] : [])),',
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'Each entry is 64 hexadecimal digits, or these and ` store`: put together without line breaks the list reads in one way all the same, and the digest is only compared.',
      line: "this.#digest ??= hash('sha256', [...this.#bySha256.keys()].map(name).sort().join('\\n'), 'hex')",
      mutants: ['\'\\n\' → ""'],
    },
  ],
  'src/trust/evaluate.ts': [
    {
      why: 'A member `staple` that is `undefined` is read like one that is absent.',
      line: 'const atHand: RevocationEvidence = staple === undefined ? evidence : { ...evidence, staple }',
      mutants: ['staple === undefined → false'],
    },
    {
      why: "A search that failed tells at least one finding; the question mark is for the type of an array's member.",
      line: 'return refusal !== undefined && findings[0]?.message === refusal.message ? [...findings, ...remarks] : findings',
      mutants: ['findings[0]?.message → findings[0].message'],
    },
    {
      why: 'Stands in the key for no staple: any text that is no digest will do.',
      line: "const stapled = staple === undefined ? '' : digestOf(staple)",
      mutants: ['\'\' → "Stryker was here!"'],
    },
    {
      why: 'Minus the length tells servers apart as the length does; the key is only compared.',
      line: 'const octets = presented.reduce((sum, der) => sum + der.length, 0)',
      mutants: ['sum + der.length → sum - der.length'],
    },
    {
      why: 'All octets but the first six tell servers apart as well; costs only: the key is longer.',
      line: 'return `${octets} ${first.subarray(-SKETCH_BYTES).join()}`',
      mutants: ['-SKETCH_BYTES → +SKETCH_BYTES'],
    },
    {
      why: 'Costs only: the same object would be found equal octet by octet.',
      line: 'if (presented === peer.presented) return true',
      mutants: ['presented === peer.presented → false'],
    },
    {
      why: 'An instant is never below `undefined`, so the next condition says the same; this one is for the type.',
      line: 'return warning !== undefined && judgedAt < warning ? Math.min(warning, until) : until',
      mutants: ['warning !== undefined → true'],
    },
    {
      why: 'Costs only: the digest of the same object is computed again, and is the same.',
      line: 'if (known !== undefined) return known',
      mutants: ['known !== undefined → false'],
    },
    {
      why: 'Never shown: a search that failed tells at least one finding, and where this one is answered it only sends a search on.',
      line: 'const NOTHING_FOUND: Finding = {',
      mutants: ["{ code: 'ERR_TRUST_UNKNOWN_ISSUER', certificateIndex: null, message: 'no path t… → {}"],
    },
    {
      why: 'Never shown: a search that failed tells at least one finding, and where this one is answered it only sends a search on.',
      line: "code: 'ERR_TRUST_UNKNOWN_ISSUER',",
      mutants: ['\'ERR_TRUST_UNKNOWN_ISSUER\' → ""'],
    },
    {
      why: 'Never shown: a search that failed tells at least one finding, and where this one is answered it only sends a search on.',
      line: "message: 'no path to a trust anchor was found',",
      mutants: ['\'no path to a trust anchor was found\' → ""'],
    },
  ],
  'src/trust/fragile.ts': [
    {
      why: 'Only a longer path with the whole accepted one below it would reach past its end: it would have the pinned key too, and not be among those without. The question mark is for the type.',
      line: 'other.certificates.every(({ sha256 }, position) => path.certificates[position]?.sha256 === sha256)',
      mutants: ['path.certificates[position]?.sha256 → path.certificates[position].sha256'],
    },
  ],
  'src/trust/identity.ts': [
    {
      why: 'The text of `undefined` is no SPIFFE ID, so it matches nothing; the condition is for the type.',
      line: 'if (only === undefined || others.length > 0) return false',
      mutants: ['only === undefined → false'],
    },
    {
      why: 'In a SPIFFE ID `//` stands once, behind the scheme, so the first match is at the start anyway.',
      line: 'return text.replace(/^[^/]+\\/\\/[^/]+/, (authority) => authority.toLowerCase())',
      mutants: ['/^[^/]+\\/\\/[^/]+/ → /[^/]+\\/\\/[^/]+/'],
    },
    {
      why: 'Both sides of the comparison are written alike: upper case on both says the same as lower case on both.',
      line: 'return text.replace(/^[^/]+\\/\\/[^/]+/, (authority) => authority.toLowerCase())',
      mutants: ['authority.toLowerCase() → authority.toUpperCase()'],
    },
  ],
  'src/trust/revoked.ts': [
    {
      why: 'The search leaves out place 0, so 0 is never found.',
      line: 'return position < 0 ? undefined : position',
      mutants: ['position < 0 → position <= 0'],
    },
  ],
  'src/trust/spiffe-bundle.ts': [
    {
      why: 'A text that is no base64 instead of none: the same refusal.',
      line: 'const [text] = Array.isArray(chain) && chain.length === 1 ? (chain as readonly unknown[]) : []',
      mutants: ['[] → ["Stryker was here"]'],
    },
  ],
}
