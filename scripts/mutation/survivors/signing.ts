import type { Reasoned } from '../survivors.ts'

export const SIGNING: Readonly<Record<string, readonly Reasoned[]>> = {
  'src/signing/accept-signature.ts': [
    {
      why: 'nothing else is thrown there; the check keeps an error that is a fault of ours from passing for a refusal',
      line: 'if (error instanceof MessageRefusal) return error.message',
      mutants: ['error instanceof MessageRefusal → true'],
    },
  ],
  'src/signing/component-value.ts': [
    {
      why: 'a URL that does not match has no authority, and is refused before its scheme is looked at',
      line: "const [, scheme = '', authority = '', path = '', query = ''] = ABSOLUTE_URL.exec(url) ?? []",
      mutants: ['\'\' → "Stryker was here!"'],
    },
    {
      why: 'the first of what is found is left aside; without an authority the URL is refused',
      line: "const [, scheme = '', authority = '', path = '', query = ''] = ABSOLUTE_URL.exec(url) ?? []",
      mutants: ['[] → ["Stryker was here"]'],
    },
    {
      why: 'for types alone: @query-param always has its parameter',
      line: "const values = new URLSearchParams(query).getAll(component.parameter ?? '')",
      mutants: ['\'\' → "Stryker was here!"'],
    },
    {
      why: 'a line whose name begins with a capital is the trailer of no component',
      line: 'const lines = component.tr ? (message.trailers ?? []) : message.fields',
      mutants: ['[] → ["Stryker was here"]'],
    },
  ],
  'src/signing/component.ts': [
    {
      why: 'speed alone: fewer than two parameters have one order, so the sorted text is the same',
      line: 'id: parameters.size < 2 ? text : identifierText([name, new Map([...parameters].sort(byKey))]),',
      mutants: ['parameters.size < 2 → false'],
    },
    {
      why: 'what follows the catch refuses the name in the same words',
      line: '} catch (error) {',
      mutants: ['{ if (!(error instanceof URIError)) throw error } → {}'],
    },
    {
      why: 'decodeURIComponent throws nothing else; the check keeps an error that is a fault of ours from being hidden',
      line: 'if (!(error instanceof URIError)) throw error',
      mutants: ['!(error instanceof URIError) → false'],
    },
    {
      why: 'speed alone: the serializer of members writes a string without parameters in the same way',
      line: 'return item[1].size === 0 ? serializeString(String(item[0])) : serializeMember(item)',
      mutants: ['item[1].size === 0 → false'],
    },
    {
      why: 'serializing throws nothing else; the check keeps a fault of ours from passing for a refusal',
      line: "if (error instanceof SerializeError) throw invalid(quote(String(item[0])), 'parameters in ASCII')",
      mutants: ['error instanceof SerializeError → true'],
    },
    {
      why: 'names of parameters are keys of a Map: no two are equal',
      line: 'return one < other ? -1 : 1',
      mutants: ['one < other → one <= other'],
    },
  ],
  'src/signing/covered-components.ts': [
    {
      why: 'of the part that is the digest its own bit decides, nobody looks at ifPresent; a list is made twice at most',
      line: 'if (rulesDigest && !parts.some(isDigest)) parts.push({ identifier: DIGEST, ifPresent: false })',
      mutants: ['false → true'],
    },
    {
      why: 'without an answer is falsy, which is the same no to whoever asks',
      line: '} catch (error) {',
      mutants: ['{ if (error instanceof MessageRefusal) return false throw error } → {}'],
    },
    {
      why: 'nothing else is thrown there; the check keeps an error that is a fault of ours from passing for a refusal',
      line: 'if (error instanceof MessageRefusal) return false',
      mutants: ['error instanceof MessageRefusal → true'],
    },
  ],
  'src/signing/http-signature.ts': [
    {
      why: 'for types alone: a target that is there and undefined is read as one that is not there',
      line: 'return { kind, method, url, fields: [...fields, [name, value]], ...(target === undefined ? {} : { target }) }',
      mutants: ['target === undefined → false'],
    },
  ],
  'src/signing/nonce-store.ts': [
    {
      why: 'for types alone: undefined > now is false',
      line: 'if (known !== undefined && known > now) return false',
      mutants: ['known !== undefined → true'],
    },
  ],
  'src/signing/received-request.ts': [
    {
      why: 'one text is a name without a value, and no line',
      line: "const { method = 'GET', url: target = '/', rawHeaders, rawTrailers = [] } = request",
      mutants: ['[] → ["Stryker was here"]'],
    },
  ],
  'src/signing/request-binding.ts': [
    {
      why: 'nothing else is thrown there; the check keeps an error that is a fault of ours from passing for a refusal',
      line: 'if (error instanceof MessageRefusal) return [] // something that the caller wrote by hand',
      mutants: ['error instanceof MessageRefusal → true'],
    },
  ],
  'src/signing/request-digest.ts': [
    {
      why: 'a member that is left out and one that is false or undefined are the same to whoever asks',
      line: 'const NOT_COVERED: RequestDigest = { isCovered: false, made: undefined }',
      mutants: ['{ isCovered: false, made: undefined } → {}'],
    },
  ],
  'src/signing/response-inspection.ts': [
    {
      why: 'for types alone: the reader of components asks whether it is a response, and this is none either way',
      line: "return { kind: 'request', method, url: `https://${authority}${path}`, fields: fieldLines(headers) }",
      mutants: ['\'request\' → ""'],
    },
  ],
  'src/signing/sign-responses.ts': [
    {
      why: 'nothing else is thrown there; the check keeps an error that is a fault of ours from passing for a refusal',
      line: 'if (!(error instanceof MessageRefusal)) throw error',
      mutants: ['!(error instanceof MessageRefusal) → false'],
    },
  ],
  'src/signing/sigv4-canonical.ts': [
    {
      why: 'names are keys of a Map: no two are equal',
      line: 'const byName = ([a]: FieldLine, [b]: FieldLine): number => (a < b ? -1 : 1)',
      mutants: ['a < b → a <= b'],
    },
  ],
  'src/signing/sigv4-credentials.ts': [
    {
      why: 'for types alone: an expiresAt that is there and undefined is read as none',
      line: '...(expiration === undefined ? {} : { expiresAt: expiration }),',
      mutants: ['expiration === undefined → false'],
    },
  ],
  'src/signing/sigv4.ts': [
    {
      why: 'for the types: what a server refuses was signed before, so a key was used',
      line: 'accessKeyId: () => last?.scope.accessKeyId,',
      mutants: ['last?.scope → last.scope'],
    },
    {
      why: 'any text without a credential stands for a header field that is not there',
      line: "const authorization = fields.find(([name]) => name === 'authorization')?.[1] ?? ''",
      mutants: ['\'\' → "Stryker was here!"'],
    },
    {
      why: 'a response without the field: neither text is the name of an error',
      line: "if (!REFUSALS.has(status) || !REFUSED_CREDENTIALS.test(headers.get('x-amzn-errortype') ?? '')) return 'done'",
      mutants: ['\'\' → "Stryker was here!"'],
    },
    {
      why: 'a source throws nothing else; the check keeps a fault of ours from being hidden',
      line: "if (error instanceof KeyError) return 'done' // the refusal says more than a source that fails",
      mutants: ['error instanceof KeyError → true'],
    },
    {
      why: 'for types alone: a response is looked at after a request was signed',
      line: 'version: () => last?.version.version,',
      mutants: ['last?.version → last.version'],
    },
    {
      why: 'speed alone: the key of a day is derived anew, and is the same',
      line: 'if (last?.version === version && last.scope.timestamp.startsWith(timestamp.slice(0, DAY_LENGTH)))',
      mutants: [
        'last?.version === version && last.scope.timestamp.startsWith(timestamp.slice(0,… → false',
        'last.scope.timestamp.startsWith(timestamp.slice(0, DAY_LENGTH)) → last.scope.timestamp.endsWith(timestamp.slice(0, DAY_LENGTH))',
        'timestamp.slice(0, DAY_LENGTH) → timestamp',
      ],
    },
  ],
  'src/signing/structured-fields.ts': [
    {
      why: 'a function that ends without an answer answers undefined, too',
      line: '} catch (error) {',
      mutants: ['{ if (error instanceof sh.ParseError) return undefined throw error } → {}'],
    },
    {
      why: 'the parser throws nothing else; the check keeps a fault of ours from passing for a text that is none',
      line: 'if (error instanceof sh.ParseError) return undefined',
      mutants: ['error instanceof sh.ParseError → true'],
    },
    {
      why: 'at the end there is no character: one more turn does nothing',
      line: 'while (at < text.length) {',
      mutants: ['at < text.length → at <= text.length'],
    },
    {
      why: 'a boolean is one digit behind its mark, over which the case of dates steps as well',
      line: "case '?':",
      mutants: ["case '?': at += 2 return true → case '?':"],
    },
    {
      why: 'the text is known to be a structured field, in which the pattern matches; the step makes sure that the loop ends',
      line: 'return pattern.test(text) ? pattern.lastIndex : at + 1',
      mutants: ['at + 1 → at - 1'],
    },
    {
      why: 'the text is known to be a structured field, whose strings are closed; the limit makes sure that the loop ends',
      line: "while (end < text.length && text[end] !== '\"') end += text[end] === '\\\\' ? 2 : 1",
      mutants: ['end < text.length → true', 'end < text.length → end <= text.length'],
    },
  ],
  'src/signing/verify-message.ts': [
    {
      why: 'nothing else is thrown there; the check keeps an error that is a fault of ours from passing for a refusal',
      line: 'if (!(error instanceof VerifyError)) throw error',
      mutants: ['!(error instanceof VerifyError) → false'],
    },
    {
      why: 'nothing else is thrown there; the check keeps an error that is a fault of ours from passing for a refusal',
      line: 'if (!(error instanceof MessageRefusal)) throw error',
      mutants: ['!(error instanceof MessageRefusal) → false'],
    },
    {
      why: 'for types alone: a nonce is claimed where the signature was found to have one',
      line: "{ keyId, nonce = '', created }: Verified,",
      mutants: ['\'\' → "Stryker was here!"'],
    },
    {
      why: 'nothing else is thrown there; the check keeps an error that is a fault of ours from passing for a refusal',
      line: "if (error instanceof MessageRefusal) throw refuse('ERR_VERIFY_MALFORMED', error.message)",
      mutants: ['error instanceof MessageRefusal → true'],
    },
    {
      why: 'the first stage is the lowest, listed or not',
      line: "'ERR_VERIFY_ALG_MISMATCH',",
      mutants: ['\'ERR_VERIFY_ALG_MISMATCH\' → ""'],
    },
  ],
  'src/signing/verify-options.ts': [
    {
      why: 'nothing else is thrown there; the check keeps an error that is a fault of ours from passing for a refusal',
      line: "if (error instanceof MessageRefusal) throw new ConfigurationError('ERR_CONFIG_INVALID', `${name}: ${error.message}`)",
      mutants: ['error instanceof MessageRefusal → true'],
    },
  ],
  'src/signing/verify-webhooks.ts': [
    {
      why: 'for types alone: a distance from undefined is NaN, which is above nothing',
      line: 'if (atSec !== undefined && Math.abs(now / 1_000 - atSec) > toleranceSec)',
      mutants: ['atSec !== undefined → true'],
    },
    {
      why: 'for types alone: a template has one header field at least',
      line: "const name = template.headers.at(-1) ?? ''",
      mutants: ['\'\' → "Stryker was here!"'],
    },
    {
      why: 'of the request that is made with it the fields alone are looked at',
      line: "const ANY_ORIGIN = 'https://webhook.invalid' // none of the templates covers where it was sent",
      mutants: ['\'https://webhook.invalid\' → ""'],
    },
  ],
  'src/signing/webhook-templates.ts': [
    {
      why: 'a v1 without a value: neither text is a signature in hexadecimal',
      line: "return { atSec, signatures: members.flatMap(([name, text = '']) => (name === 'v1' ? [text] : [])) }",
      mutants: ['\'\' → "Stryker was here!"'],
    },
    {
      why: 'without an id: neither text is one that may stand there',
      line: "if (atSec === undefined || !ID.test(header('webhook-id') ?? '')) return undefined",
      mutants: ['\'\' → "Stryker was here!"'],
    },
    {
      why: 'for types alone: no number stands in the text of undefined',
      line: 'text !== undefined && /^[1-9]\\d{0,11}$/.test(text) ? Number(text) : undefined',
      mutants: ['text !== undefined → true'],
    },
  ],
}
