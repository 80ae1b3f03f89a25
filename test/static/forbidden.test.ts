import { expect, describe as group, test } from 'vitest'
import { describe, linesOf, type Source, sourcesIn, type Use, usesOf } from './sources.ts'

interface Rule {
  readonly title: string
  readonly forbidden: RegExp
  /** Files or folders below src/ where it may stand, each with the reason. One that is no longer needed fails too. */
  readonly except: Readonly<Record<string, string>>
  /** What the rule must find, one line each, so that it cannot rot into a rule that finds nothing. */
  readonly planted: readonly string[]
}

const RULES: readonly Rule[] = [
  {
    title: 'no guessable randomness, anywhere',
    forbidden: /^Math\.random$/,
    except: {},
    planted: ['Math.random()', 'const { random } = Math', "Math['random']()"],
  },
  {
    title: 'the clock is read in ports/ alone, so that tests move it',
    forbidden: /^(Date\.now|new Date\(\)|performance\.now|process\.hrtime|process\.uptime|import (node:)?perf_hooks)$/,
    except: {
      'ports/system.ts': 'the one place',
    },
    planted: [
      'Date.now()',
      'new Date()',
      'performance.now()',
      'const { now } = Date',
      "import { performance } from 'node:perf_hooks'",
    ],
  },
  {
    title: 'timers are set in ports/ alone, so that tests run them',
    forbidden: /^(setTimeout|setInterval|(\w*)\.set(Timeout|Interval)|AbortSignal\.timeout|import (node:)?timers)$/,
    except: { 'ports/system.ts': 'the one place' },
    planted: ['setTimeout(run, 1)', 'globalThis.setInterval(run, 1)', 'AbortSignal.timeout(1)', "import 'node:timers'"],
  },
  {
    title: 'random bytes are drawn in ports/ alone, so that tests choose them',
    forbidden: /^(\w+\.)?(randomBytes|randomUUID|randomInt|randomFill|randomFillSync|getRandomValues)$/,
    except: {
      'ports/system.ts': 'the one place',
      'cli/files.ts': 'the name of a temporary file, as below',
      'stores/file.ts': 'the name of a temporary file: it has to be new, and nothing depends on what it is',
      'x509/generate.ts':
        'serial numbers of generated certificates (RFC 5280 §4.1.2.2), reached from testing/ and cli/',
      'testing/tls-server.ts': 'session ticket keys of a test server',
    },
    planted: ["import { randomBytes } from 'node:crypto'", 'crypto.getRandomValues(bytes)', 'crypto.randomUUID()'],
  },
  {
    title: 'nothing is printed behind the back of the application',
    forbidden: /^console(\.\w+)?$|^(process\.)?(stdout|stderr)\.write$/,
    except: {
      cli: 'printing is what a command does',
      'client/create-client.ts':
        'one line on standard error when the rollback floor is lost at restart; `memoryOnly` silences it',
    },
    planted: ["console.log('x')", "process.stderr.write('x')", 'const { log } = console'],
  },
  {
    title: 'the environment decides nothing unasked',
    forbidden: /^process\.(env|argv|execArgv)$/,
    except: {
      'keys/secret-reading.ts': 'the variable that a secret source names',
      'cli/main.ts': 'where the process begins: arguments, and NO_COLOR and its like',
      'client/anchors.ts': 'the file of NODE_EXTRA_CA_CERTS, where the option `anchors` asks for it',
      'client/config.ts': 'configFromEnv, which an application calls for exactly that',
      'client/proxy.ts': 'the proxy variables, where the option `proxy` asks for the environment',
      'client/options.ts': 'the variable that `manifest.url` names with `env:`',
      'publisher/command.ts': 'other programs get it, without the passphrase of the keys',
      'client/posture.ts': 'names the variables and flags that try to weaken TLS; nothing follows them',
    },
    planted: ['process.env', "process['env']", 'const { env } = process'],
  },
  {
    title: 'no hole in the types',
    forbidden: /^(any|!)$/,
    except: {},
    planted: ['const x: any = 1', 'const y = x!'],
  },
  {
    // Pins, key identifiers and document hashes are public: comparing them with === tells an attacker nothing new. What
    // an attacker could guess byte by byte is compared with crypto.timingSafeEqual.
    title: 'secrets are never compared with ===',
    forbidden: /^=== \w*(secret|token|password|passphrase|mac|hmac|apiKey|privateKey|cookie|credential)s?$/i,
    except: {},
    planted: ['if (given === accessToken) {}', 'if (this.hmac !== expected.mac) {}', 'if (clientSecret == x) {}'],
  },
]

const sources = sourcesIn('src')

for (const rule of RULES) {
  group(rule.title, () => {
    const uses = sources.flatMap(usesOf).filter(({ what }) => rule.forbidden.test(what))

    test('holds in src/', () => {
      expect(uses.filter(({ path }) => exceptionFor(rule, path) === undefined).map(describe)).toEqual([])
    })

    test('has no exception that nothing needs', () => {
      const needed = new Set(uses.map(({ path }) => exceptionFor(rule, path)))
      expect(Object.keys(rule.except).filter((place) => !needed.has(place))).toEqual([])
    })

    test.each(rule.planted)('finds %s', (line) => {
      expect(usesOf(planted(line)).filter(({ what }) => rule.forbidden.test(what))).not.toEqual([])
      expect(usesOf(planted(`// ${line}`))).toEqual([])
    })
  })
}

group('no checker is told to look away', () => {
  const SILENCERS = /@ts-(ignore|nocheck|expect-error)|biome-ignore|eslint-disable|v8 ignore|istanbul ignore/g

  test('holds in src/', () => {
    expect(sources.flatMap((source) => linesOf(source, SILENCERS)).map(describe)).toEqual([])
  })

  test('finds a planted one', () => {
    expect(linesOf(planted('// @ts-ignore'), SILENCERS).map(describe)).toEqual(['src/planted.ts:1: @ts-ignore'])
  })
})

function exceptionFor({ except }: Rule, path: Use['path']): string | undefined {
  return Object.keys(except).find((place) => path === `src/${place}` || path.startsWith(`src/${place}/`))
}

function planted(text: string): Source {
  return { path: 'src/planted.ts', text }
}
