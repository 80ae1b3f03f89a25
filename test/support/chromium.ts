import { existsSync } from 'node:fs'

/**
 * Where the browser is, for tests of what people look at. Without it they are skipped, and say so; in CI that is a failure, for a
 * picture that nobody looks at is not tested.
 */
export const CHROMIUM: string | undefined = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync)

if (CHROMIUM === undefined) {
  if (process.env['CI'] === 'true') throw new Error('chromium is missing: install the Debian package of that name')
  process.stdout.write('not run: the tests in a browser, for there is no chromium; it is a Debian package\n')
}
