import type { Reasoned } from '../survivors.ts'

export const TRANSPARENCY: Readonly<Record<string, readonly Reasoned[]>> = {
  'src/trust/transparency/check.ts': [
    {
      why: 'fewer than two operators are one: nothing is put together',
      line: "const message = `${subject}: expected logs of ${MIN_OPERATORS} operators, saw ${[...operators].join(', ')}`",
      mutants: ['\', \' → ""'],
    },
    {
      why: 'nothing but a DerError is thrown there; the check keeps an error that is a fault of ours from passing for bad bytes',
      line: 'if (error instanceof DerError) return [] // the check of revocation says what is wrong with it',
      mutants: ['error instanceof DerError → true'],
    },
  ],
  'src/trust/transparency/judge-path.ts': [
    {
      why: 'only `off` is asked for there',
      line: "return checkTransparency({ ...at, certificate, issuer, logList, policy: { ...policy, mode: 'report' } })",
      mutants: ['\'report\' → ""'],
    },
  ],
  'src/trust/transparency/judge-sct.ts': [
    { why: 'falls through to undefined, which is as false', line: "case 'pending':", mutants: ['\'pending\' → ""'] },
    {
      why: 'falls through to undefined, which is as false',
      line: "case 'rejected':",
      mutants: ["case 'rejected': return false → case 'rejected':", '\'rejected\' → ""'],
    },
  ],
  'src/trust/transparency/logs.ts': [
    {
      why: 'costs time only: the key is read again each time',
      line: 'if (this.#key === undefined) this.#key = keyOf(this.#spki) ?? null',
      mutants: ['this.#key === undefined → true'],
    },
    {
      why: 'for types alone: no other key has a curve',
      line: "if (info.kind === 'ec' && info.curve === 'P-256') return 'ecdsa'",
      mutants: ["info.kind === 'ec' → true"],
    },
    {
      why: 'the end of the function is undefined, too',
      line: '} catch (error) {',
      mutants: ['{ if (error instanceof DerError) return undefined throw error } → {}'],
    },
    {
      why: 'nothing but a DerError is thrown there; the check keeps an error that is a fault of ours from passing for bad bytes',
      line: 'if (error instanceof DerError) return undefined',
      mutants: ['error instanceof DerError → true'],
    },
  ],
  'src/trust/transparency/sct.ts': [
    {
      why: 'a list of two octets holds no SCT and is refused at the end',
      line: 'if (list === undefined || list.length < 2 || lengthAt(list, 0) !== list.length - 2) return malformedList()',
      mutants: ['list.length < 2 → list.length <= 2'],
    },
    {
      why: 'a length with nothing behind it is refused in the next line',
      line: 'if (start > list.length) return malformedList()',
      mutants: ['start > list.length → start >= list.length'],
    },
    {
      why: 'an SCT that ends there lacks its signature and is refused below',
      line: 'if (bytes.length < EXTENSIONS + 2) return malformedSct()',
      mutants: ['bytes.length < EXTENSIONS + 2 → bytes.length <= EXTENSIONS + 2'],
    },
    {
      why: 'the end of the function is undefined, too',
      line: '} catch (error) {',
      mutants: ['{ if (error instanceof DerError) return undefined throw error } → {}'],
    },
    {
      why: 'nothing but a DerError is thrown there; the check keeps an error that is a fault of ours from passing for bad bytes',
      line: 'if (error instanceof DerError) return undefined',
      mutants: ['error instanceof DerError → true'],
    },
  ],
}
