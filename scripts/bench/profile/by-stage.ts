import type { CpuProfile, ProfileNode } from './recording.ts'
import { stageOfLibrary, stageOfModule, type Shared } from './stages.ts'

export const idle = '(idle)'

/** A frame, by where its code stands: `src/...` of ours, the name of a library, `node:`, or a name of V8 in parentheses. */
interface Place {
  readonly module: string
  readonly function: string
  readonly isOurs: boolean
}

const ofOurs = /\/(?:\.cache\/build\/[^/]+|dist)\/(.+)\.js$/
const ofLibrary = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//

/** The samples of a profile by a key of their stack, in µs of the wall clock. */
export class StackTimes {
  readonly #profile: CpuProfile
  readonly #parents = new Map<number, ProfileNode>()
  readonly #selfUs = new Map<number, number>()

  constructor(profile: CpuProfile) {
    this.#profile = profile
    for (const node of profile.nodes) for (const child of node.children ?? []) this.#parents.set(child, node)
    for (const [i, id] of profile.samples.entries()) {
      // The sample's node was running until the next one.
      this.#selfUs.set(id, (this.#selfUs.get(id) ?? 0) + Math.max(0, profile.timeDeltas[i + 1] ?? 0))
    }
  }

  /** The sum of each key, largest first. */
  by(keyOf: (stack: readonly ProfileNode[]) => string): ReadonlyMap<string, number> {
    const sums = new Map<string, number>()
    for (const { stack, us } of this.stacks()) {
      const key = keyOf(stack)
      sums.set(key, (sums.get(key) ?? 0) + us)
    }
    return new Map([...sums].sort(([, a], [, b]) => b - a))
  }

  /** Each stack that was seen running, its innermost frame first. */
  *stacks(): Generator<{ readonly stack: readonly ProfileNode[]; readonly us: number }> {
    for (const node of this.#profile.nodes) {
      const us = this.#selfUs.get(node.id) ?? 0
      if (us === 0) continue
      const stack: ProfileNode[] = []
      for (let at: ProfileNode | undefined = node; at !== undefined; at = this.#parents.get(at.id)) stack.push(at)
      yield { stack, us }
    }
  }
}

/**
 * The stage of a stack: that of the innermost frame of ours that has one. A stack of shared code alone has the name of
 * its innermost module unless the table has a stage for it; one without frames of ours the name of its library.
 */
export function stageOf(stack: readonly ProfileNode[]): string {
  const places = stack.map(placeOf)
  const [innermost] = places
  // V8 puts what it does itself below the frame that was running.
  if (innermost !== undefined && innermost.module.startsWith('(')) return libraryStage(innermost.module)
  const ours = places.filter(({ isOurs }) => isOurs)
  const stages = ours.map(stageOfPlace)
  const stage = stages.find((one) => typeof one === 'string') ?? aloneIn(stages) ?? ours[0]?.module
  if (stage !== undefined) return stage
  // Node's own code is called by, or calls, the library that wanted it.
  const library = places.find(({ module }) => module !== 'node:' && !module.startsWith('('))
  return libraryStage((library ?? innermost)?.module ?? '')
}

function aloneIn(stages: readonly (string | Shared)[]): string | null {
  for (const stage of stages) if (typeof stage !== 'string' && stage.alone !== null) return stage.alone
  return null
}

function libraryStage(module: string): string {
  return stageOfLibrary[module] ?? `(${module.replace(/^\((.*)\)$/, '$1')})`
}

function stageOfPlace(place: Place): string | Shared {
  const own = stageOfModule[`${place.module}#${place.function}`]
  if (own !== undefined) return own
  for (let path = place.module; path !== ''; path = path.slice(0, Math.max(0, path.lastIndexOf('/')))) {
    const stage = stageOfModule[path]
    if (stage !== undefined) return stage
  }
  return place.module
}

/** The innermost frame of a stack: function and module; of one without a name also its line. */
export function functionOf([innermost]: readonly ProfileNode[]): string {
  if (innermost === undefined) return ''
  const { module, function: name } = placeOf(innermost)
  if (module.startsWith('(')) return module
  return name === '' ? `(anonymous) ${lineOf(innermost)}` : `${name} ${fileOf(innermost)}`
}

/** Where a frame's function begins, such as `src/process/decode.ts:31`. */
export function lineOf(node: ProfileNode): string {
  return `${fileOf(node)}:${node.callFrame.lineNumber + 1}`
}

function fileOf(node: ProfileNode): string {
  const { module } = placeOf(node)
  if (module !== 'node:') return module
  return node.callFrame.url === '' ? 'V8' : node.callFrame.url
}

export function placeOf({ callFrame: { functionName, url } }: ProfileNode): Place {
  const library = ofLibrary.exec(url)?.[1]
  if (library !== undefined) return { module: library, function: functionName, isOurs: false }
  const ours = ofOurs.exec(url)?.[1]
  if (ours !== undefined) return { module: `${ours}.ts`, function: functionName, isOurs: true }
  if (url !== '') return { module: url.startsWith('node:') ? 'node:' : url, function: functionName, isOurs: false }
  // Functions of V8 itself, such as JSON.parse, have no file.
  const isV8 = functionName.startsWith('(')
  return { module: isV8 ? functionName : 'node:', function: functionName, isOurs: false }
}
