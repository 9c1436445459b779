import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { functionOf, stageOf, StackTimes } from '../../../scripts/bench/profile/by-stage.ts'
import { flameGraph } from '../../../scripts/bench/profile/flame-graph.ts'
import type { CpuProfile } from '../../../scripts/bench/profile/recording.ts'
import { profileRows } from '../../../scripts/bench/profile/report.ts'
import { stageOfModule } from '../../../scripts/bench/profile/stages.ts'

const build = 'file:///repo/.cache/build/0a1b'

/** A profile of stacks, outermost frame first, each `function file` or a name of V8, with its µs. */
function profileOf(stacks: readonly (readonly [readonly string[], number])[]): CpuProfile {
  const nodes: { id: number; callFrame: CpuProfile['nodes'][number]['callFrame']; children: number[] }[] = []
  const add = (text: string) => {
    const [functionName = '', path = ''] = text.startsWith('(') ? [text] : text.split(' ')
    const url = path === '' || path.startsWith('node:') ? path : `${build}/${path}`
    const node = {
      id: nodes.length + 1,
      callFrame: { functionName, url, lineNumber: 0, columnNumber: 0 },
      children: [] as number[],
    }
    nodes.push(node)
    return node
  }
  const root = add('(root)')
  const samples: number[] = []
  const timeDeltas: number[] = []
  for (const [stack, us] of stacks) {
    let at = root
    for (const frame of stack) {
      const node = add(frame)
      at.children.push(node.id)
      at = node
    }
    samples.push(at.id)
    // A sample lasts until the next one.
    timeDeltas[samples.length] = us
    timeDeltas[0] = 0
  }
  return { nodes, samples: [...samples, root.id], timeDeltas }
}

const stagesOf = (stack: readonly string[]) => [...new StackTimes(profileOf([[stack, 100]])).by(stageOf)]

test('time in a library belongs to the stage of ours that called it', () => {
  const parse = ['run src/process/pipeline.js', 'decode src/process/decode.js', 'parse']
  const send = ['write src/process/entity-states.js', 'compareAndSet src/edges/redis/states/state-store.js']
  expect(stagesOf(parse)).toEqual([['decode', 100]])
  expect(stagesOf([...send, 'call node_modules/ioredis/built/Redis.js', 'write node:net'])).toEqual([['write', 100]])
})

test('time in shared code belongs to the stage that called it; with no caller, to its usual stage or its own name', () => {
  const shared = 'checksum src/base/bytes.js'
  const encode = ['write src/process/entity-states.js', 'encodeState src/engine/state-codec/state-blob.js', shared]
  expect(stagesOf(encode)).toEqual([['encode', 100]])
  expect(stagesOf(['observe src/engine/observe.js', shared])).toEqual([['observe', 100]])
  expect(stagesOf([shared])).toEqual([['src/base/bytes.ts', 100]])
})

test('a module that the table does not know is shown under its own name', () => {
  expect(stagesOf(['run src/process/pipeline.js', 'work src/cases/review.js'])).toEqual([['src/cases/review.ts', 100]])
})

test('garbage and idle time have rows of their own, whatever was running; libraries by themselves have their name', () => {
  expect(stagesOf(['run src/process/pipeline.js', '(garbage collector)'])).toEqual([['(garbage)', 100]])
  expect(stagesOf(['(idle)'])).toEqual([['(idle)', 100]])
  expect(stagesOf(['onData node:net', 'parse node_modules/pino/lib.js'])).toEqual([['(pino)', 100]])
})

test('the rows of all stages add up to the processor time of the role; idle time is none of it', () => {
  const decode = ['decode src/process/decode.js']
  const settle = ['observe src/process/settle.js']
  const times = new StackTimes(
    profileOf([
      [decode, 300],
      [settle, 100],
      [['(idle)'], 400],
      [decode, 200],
    ]),
  )
  const { stages, functions, idleShare } = profileRows(times, { allUs: 80, mainUs: 60 }, 1)
  expect(stages.map((row) => [row['stage'], Number(row['µs'])])).toEqual([
    ['decode', 50],
    ['observe', 10],
    ['(other threads: garbage, compiler, libraries)', 20],
  ])
  expect(functions.map((row) => row['function'])).toEqual(['decode src/process/decode.ts'])
  expect(idleShare).toBe(0.4)
})

test('a function without a name is told apart by its line', () => {
  const names = [...new StackTimes(profileOf([[[' src/process/decode.js'], 1]])).by(functionOf).keys()]
  expect(names).toEqual(['(anonymous) src/process/decode.ts:1'])
})

test('every path of the table of stages exists', () => {
  const root = new URL('../../..', import.meta.url).pathname
  const paths = Object.keys(stageOfModule).map((path) => path.split('#')[0] ?? '')
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([])
})

test('a flame graph is one file that draws each frame under its caller, and no markup of a frame is lost', () => {
  const times = new StackTimes(profileOf([[['run src/process/pipeline.js', 'a<b> src/process/decode.js'], 10]]))
  const svg = flameGraph(times, 'title')
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/)
  const titles = [...svg.matchAll(/<title>(.*?)<\/title>/g)].map(([, text]) => text)
  expect(titles).toEqual([
    'title: 100.0 %',
    'decode: 100.0 %',
    'run src/process/pipeline.ts:1: 100.0 %',
    'a&lt;b&gt; src/process/decode.ts:1: 100.0 %',
  ])
})
