/* What the tests ask of a page, from inside of it. */
globalThis.asked = {
  /** Boxes of all that is shown in the drawing, compared with each other and with the sheet; and the contrast of its texts. */
  measure() {
    const svg = shownDrawing()
    const frame = svg.getBoundingClientRect()
    const texts = [...svg.querySelectorAll('text')].map(boxOf)
    const bars = [...svg.querySelectorAll('.bar')].map(boxOf)
    const overlapping = []
    const outside = []
    for (const [index, text] of texts.entries()) {
      for (const other of texts.slice(index + 1))
        if (meet(text, other)) overlapping.push(`${text.name} / ${other.name}`)
      const isInBar = text.element.classList.contains('in-bar')
      const around = bars.filter((bar) => meet(text, bar))
      if (!isInBar && around.length > 0) overlapping.push(`${text.name} / ${around[0].name}`)
      if (isInBar && !around.some((bar) => bar.left <= text.left && bar.right >= text.right)) outside.push(text.name)
    }
    for (const [index, bar] of bars.entries())
      for (const other of bars.slice(index + 1)) if (meet(bar, other)) overlapping.push(`${bar.name} / ${other.name}`)
    for (const { name, left, right, top, bottom } of [...texts, ...bars])
      if (left < frame.left || right > frame.right || top < frame.top || bottom > frame.bottom) outside.push(name)
    const paper = luminance(getComputedStyle(svg.querySelector('.paper')).fill)
    const unreadable = texts.flatMap(({ name, element }) => {
      const ink = luminance(getComputedStyle(element).fill)
      const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)
      return contrast < 4.5 ? [`${name} ${contrast}`] : [] // WCAG 2.2, 1.4.3
    })
    const { scrollWidth, clientWidth } = document.documentElement
    return { count: texts.length, overlapping, outside, unreadable, overflow: Math.max(0, scrollWidth - clientWidth) }
  },

  /** One label onto another, one over the edge, one without contrast. */
  damage() {
    const labels = document.querySelectorAll('.wide text.label')
    labels[1].setAttribute('y', labels[0].getAttribute('y'))
    labels[2].setAttribute('x', '1030')
    labels[3].setAttribute('class', 'behind')
    labels[3].setAttribute('style', '')
    labels[3].setAttribute('fill', 'currentColor')
    labels[3].style.fill = 'var(--paper)'
  },

  /** Where the line for now stands, in units of the drawing. */
  now() {
    const svg = shownDrawing()
    const line = svg.querySelector('.now-line').getBoundingClientRect()
    const frame = svg.getBoundingClientRect()
    const width = svg.viewBox.baseVal.width
    return { width, x: ((line.x + line.width / 2 - frame.x) / frame.width) * width }
  },

  /** Numbers all that the keyboard should stop at; answers with how many there are. */
  markStops() {
    const all = [...document.querySelectorAll('a, tbody tr, .scroll, .wide .row')]
    for (const [index, element] of all.entries()) element.setAttribute('data-stop', String(index))
    return all.length
  },

  stop: () => document.activeElement.getAttribute('data-stop'),

  /** The frame of a row before it has the focus, and with it. */
  focusRow() {
    const row = document.querySelector('.wide .row')
    const frame = () => getComputedStyle(row.querySelector('.band')).stroke
    const before = frame()
    row.focus()
    return [before, frame()]
  },

  text: () => document.body.textContent,
  active: () => document.querySelectorAll('script, img, iframe, [onload], [onerror]').length,

  image: () => ({
    root: document.documentElement.tagName,
    active: document.querySelectorAll('script, foreignObject, image, use, parsererror').length,
    ground: getComputedStyle(document.querySelector('.paper')).fill,
  }),
}

function shownDrawing() {
  return [...document.querySelectorAll('svg')].find((svg) => svg.getBoundingClientRect().width > 0)
}

function boxOf(element) {
  const { left, right, top, bottom } = element.getBoundingClientRect()
  return { name: `${element.getAttribute('class')} ${element.textContent}`, left, right, top, bottom, element }
}

/** Boxes of glyphs are taller than their ink, and edges are blurred. */
function meet(a, b) {
  return a.left < b.right - 0.6 && b.left < a.right - 0.6 && a.top < b.bottom - 2.4 && b.top < a.bottom - 2.4
}

function luminance(color) {
  const [r, g, b] = color
    .match(/[\d.]+/g)
    .slice(0, 3)
    .map((part) => part / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
