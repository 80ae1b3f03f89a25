import { readFileSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { axisOf, placeOf } from '../../src/picture/axis.ts'
import type { Facts } from '../../src/picture/facts.ts'
import { layoutOf } from '../../src/picture/layout.ts'
import { matrixPage, pageOf } from '../../src/picture/page.ts'
import { svgTimeline } from '../../src/picture/svg.ts'
import { timelineOf } from '../../src/picture/timeline.ts'
import { CHROMIUM } from '../support/chromium.ts'
import { busy, crowd, HOSTILE, hostile, matrix, NOW } from './scenes.ts'

describe.skipIf(CHROMIUM === undefined)('in a browser', { timeout: 120_000 }, () => {
  let browser: Browser
  let folder: string

  beforeAll(async () => {
    // No sandbox: it needs privileges that containers do not give, and what is shown is our own.
    browser = await chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox', '--disable-gpu'] })
    folder = await mkdtemp(join(tmpdir(), 'pinfetch-picture-'))
    process.stdout.write(`screenshots: ${folder}\n`)
  }, 120_000)
  afterAll(() => browser?.close())

  const sizes = [
    { width: 360, height: 800 },
    { width: 800, height: 900 },
    { width: 1280, height: 900 },
  ]
  const crowds: readonly (readonly [string, Facts])[] = [
    ['1 host', crowd(1)],
    ['40 hosts', crowd(40)],
    ['a deployment', busy],
    ['hostile names', hostile],
  ]
  const cases = crowds.flatMap(([name, facts]) => sizes.map((size) => ({ name, facts, size })))

  test.each(cases)('$name at $size.width px: nothing overlaps, is cut off, asks or complains', async (one) => {
    const { name, facts, size } = one
    const { page, ask, requests, complaints } = await show(htmlOf(facts), size)
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      const found = await ask<Measured>('measure')
      expect(found.count).toBeGreaterThan(10)
      expect(found).toMatchObject({ overlapping: [], outside: [], unreadable: [], overflow: 0 })
      const file = `${name.replace(/ /g, '-')}-${size.width}-${colorScheme}.png`
      if (facts !== hostile) await page.screenshot({ path: join(folder, file), fullPage: true })
    }
    expect(complaints).toEqual([])
    expect(requests).toEqual([])
  })

  test('what measures finds a label over another, one that is cut off, and ink without contrast', async () => {
    const { ask } = await show(htmlOf(busy), WIDE)
    await ask('damage')
    const found = await ask<Measured>('measure')
    expect(found.overlapping).not.toEqual([])
    expect(found.outside).not.toEqual([])
    expect(found.unreadable).not.toEqual([])
  })

  test('now stands where the formula puts it', async () => {
    const timeline = timelineOf(busy, NOW)
    const axis = axisOf(timeline, 5)
    expect(placeOf(NOW, axis)).toBeCloseTo((NOW - axis.from) / (axis.until - axis.from), 9)
    for (const size of sizes) {
      const { ask } = await show(htmlOf(busy), size)
      const drawn = await ask<{ width: number; x: number }>('now')
      const { plot } = layoutOf(timeline, drawn.width)
      expect(Math.abs(drawn.x - (plot.x + plot.width * 0.2))).toBeLessThan(0.5) // a fifth of the picture is the past
    }
  })

  test('the keyboard reaches every row, every link and every table, and a focused row shows it', async () => {
    const { page, ask } = await show(htmlOf(busy), WIDE)
    const wanted = await ask<number>('markStops')
    expect(wanted).toBeGreaterThan(50)
    const reached = new Set<string>()
    for (let press = 0; press < wanted + 5; press += 1) {
      await page.keyboard.press('Tab')
      const stop = await ask<string | null>('stop')
      if (press === 0) expect(stop, 'the skip link comes first').toBe('0')
      if (stop !== null) reached.add(stop)
    }
    expect(reached.size).toBe(wanted)
    const [before, after] = await ask<readonly string[]>('focusRow')
    expect(before).toBe('none')
    expect(after).not.toBe('none')
  })

  test('tables are tables, every drawing has a name, and headings go down one by one', async () => {
    const { page } = await show(htmlOf(busy), WIDE)
    const tree = await page.locator('body').ariaSnapshot()
    for (const part of ['table "What is refused', 'columnheader "Begins"', 'rowheader', 'group "Next outage'])
      expect(tree).toContain(part)
    expect(tree).toMatch(/heading "Report" \[level=1\]/)
    expect(tree).toMatch(/img "connections pass until its certificate has ended: pass, several keys count/)
  })

  test('a script that came in runs no line: neither as text of a host, nor as markup under the policy', async () => {
    const named = await show(htmlOf(hostile), WIDE)
    expect(await named.page.title()).toBe('Report')
    expect(await named.ask('active')).toBe(0)
    const shown = await named.ask<string>('text')
    expect(shown).toContain(HOSTILE[0])
    for (const character of ['\u202e', '\u001b']) expect(shown).not.toContain(character)

    const injection =
      '<script>document.title="ran"</script><img src="x" onerror="document.title=\'ran\'"><b style="color:red">x</b>'
    const guarded = await show(htmlOf(busy).replace('</body>', `${injection}</body>`), WIDE)
    expect(await guarded.page.title()).toBe('Report')
    expect(guarded.complaints.join()).toContain('Content Security Policy')
    const unguarded = htmlOf(busy).replace(/<meta http-equiv[^>]*>/, '')
    const open = await show(unguarded.replace('</body>', `${injection}</body>`), WIDE)
    expect(await open.page.title()).toBe('ran') // so it is the policy that stops it
  })

  test('the matrix alone is such a page too', async () => {
    const content = matrixPage({ title: 'Attack lab', about: HOSTILE.join(' '), matrix })
    const { page, requests, complaints } = await show(content, { width: 360, height: 800 })
    const tree = await page.locator('body').ariaSnapshot()
    for (const part of ['heading "Attack lab" [level=1]', 'heading "Results" [level=2]', 'table "What each client did'])
      expect(tree).toContain(part)
    const isCutOff = 'document.documentElement.scrollWidth > document.documentElement.clientWidth'
    expect(await page.evaluate(isCutOff)).toBe(false)
    expect([requests, complaints]).toEqual([[], []])
  })

  test('the image stands alone, follows light and dark, and is well-formed whoever named the hosts', async () => {
    for (const facts of [busy, hostile]) {
      const svg = svgTimeline(timelineOf(facts, NOW))
      const { page, ask, requests, complaints } = await show(svg, WIDE, 'svg')
      const grounds: string[] = []
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        const { ground, ...rest } = await ask<{ root: string; active: number; ground: string }>('image')
        expect(rest).toEqual({ root: 'svg', active: 0 })
        grounds.push(ground)
      }
      expect([requests, complaints]).toEqual([[], []])
      expect(grounds[0]).not.toBe(grounds[1])
    }
  })

  async function show(content: string, viewport: { width: number; height: number }, type: 'html' | 'svg' = 'html') {
    const context = await browser.newContext({ viewport })
    onTestFinished(() => context.close())
    context.setDefaultTimeout(110_000) // of a busy machine
    const page = await context.newPage()
    const file = join(folder, `shown.${type}`)
    await writeFile(file, content)
    const { href } = pathToFileURL(file)
    const [requests, complaints]: [string[], string[]] = [[], []]
    page.on('request', (request) => request.url() !== href && requests.push(request.url()))
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(href)
    await page.evaluate(IN_PAGE)
    const ask = <Answer>(what: string) => page.evaluate<Answer>(`asked.${what}()`)
    return { page, ask, requests, complaints }
  }
})

function htmlOf(facts: Facts): string {
  const health = HOSTILE.map((text) => ({ severity: 'warning' as const, subject: text, message: text, fix: text }))
  return pageOf({ title: 'Report', timeline: timelineOf(facts, NOW), health, matrix })
}

interface Measured {
  readonly count: number
  readonly overlapping: readonly string[]
  readonly outside: readonly string[]
  readonly unreadable: readonly string[]
  /** How much wider the page is than the screen. */
  readonly overflow: number
}

const WIDE = { width: 1280, height: 900 }
const IN_PAGE = readFileSync(new URL('./in-page.js', import.meta.url), 'utf8')
