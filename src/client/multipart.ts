/**
 * FormData as the bytes that fetch would make of it (RFC 7578, WHATWG HTML §4.10.22.7), once and for all: fetch draws another
 * boundary each time it sends the same form. Files stay where they are until they are read.
 *
 * @param random Draws the boundary: who can guess it ends a field where none ends (CVE-2025-22150).
 */
export function multipartOf(form: FormData, random: (length: number) => Uint8Array): Blob {
  const boundary = `----formdata-${Buffer.from(random(BOUNDARY_OCTETS)).toString('hex')}`
  const parts: (string | Blob)[] = []
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escaped(crlf(name))}"`
    if (typeof value === 'string') parts.push(`${head}\r\n\r\n${crlf(value)}\r\n`)
    else {
      const type = value.type === '' ? 'application/octet-stream' : value.type
      parts.push(`${head}; filename="${escaped(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`, value, '\r\n')
    }
  }
  parts.push(`--${boundary}--\r\n`)
  return new Blob(parts, { type: `multipart/form-data; boundary=${boundary}` })
}

function crlf(text: string): string {
  return text.replace(/\r\n|\r|\n/g, '\r\n')
}

function escaped(text: string): string {
  return text.replace(/\n/g, '%0A').replace(/\r/g, '%0D').replace(/"/g, '%22')
}

const BOUNDARY_OCTETS = 16
