import { idle, lineOf, placeOf, stageOf, type StackTimes } from './by-stage.ts'
import type { ProfileNode } from './recording.ts'

interface Frame {
  readonly name: string
  readonly hue: number
  us: number
  readonly inner: Map<string, Frame>
}

const widthPx = 1_600
const rowPx = 17
/** Narrower frames are left out: nobody can read or point at them. */
const widthPxMin = 0.4
const charPx = 6.6

/** A profile as one SVG: a row per frame, the outermost on top, as wide as its share; a pointer on it shows its text. */
export function flameGraph(times: StackTimes, title: string): string {
  const root: Frame = { name: title, hue: 0, us: 0, inner: new Map() }
  for (const { stack, us } of times.stacks()) {
    const stage = stageOf(stack)
    if (stage === idle) continue
    root.us += us
    let at = root
    for (const node of [stage, ...stack.toReversed().slice(1)]) {
      const { name, hue } = typeof node === 'string' ? { name: node, hue: 50 } : frameOf(node)
      let inner = at.inner.get(name)
      if (inner === undefined) at.inner.set(name, (inner = { name, hue, us: 0, inner: new Map() }))
      inner.us += us
      at = inner
    }
  }
  const drawn = draw(root, root.us)
  const height = (drawn.depth + 1) * rowPx
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${widthPx} ${height}" font-family="monospace" font-size="11">`
  return `${head}\n${drawn.text.join('\n')}\n</svg>\n`
}

/** Ours, libraries and V8 in colours of their own. */
function frameOf(node: ProfileNode): { readonly name: string; readonly hue: number } {
  const { module, function: name, isOurs } = placeOf(node)
  const hue = isOurs ? 25 : module.startsWith('node:') || module.startsWith('(') ? 210 : 110
  return { name: `${name === '' ? '(anonymous)' : name} ${lineOf(node)}`, hue }
}

function draw(root: Frame, totalUs: number): { readonly text: readonly string[]; readonly depth: number } {
  const text: string[] = []
  let deepest = 0
  const add = ({ name, hue, us, inner }: Frame, x: number, depth: number): void => {
    const width = (us / totalUs) * widthPx
    if (width < widthPxMin) return
    deepest = Math.max(deepest, depth)
    const y = depth * rowPx
    const share = `${((us / totalUs) * 100).toFixed(1)} %`
    const letters = Math.floor((width - 4) / charPx)
    const label =
      letters < 3 ? '' : `<text x="${(x + 2).toFixed(1)}" y="${y + 12}">${escaped(name.slice(0, letters))}</text>`
    const box = `x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${rowPx - 1}" fill="hsl(${hue} 70% 75%)"`
    text.push(`<g><title>${escaped(name)}: ${share}</title><rect ${box}/>${label}</g>`)
    let at = x
    for (const child of [...inner.values()].sort((a, b) => b.us - a.us)) {
      add(child, at, depth + 1)
      at += (child.us / totalUs) * widthPx
    }
  }
  add(root, 0, 0)
  return { text, depth: deepest }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
