import { describe, expect, it } from 'vitest'
import {
  changed,
  modelName,
  parseModelName,
  shadowsMax,
  type Changed,
  type Generation,
  type ModelChange,
} from '../../../src/scoring/rollout/generation.ts'

const model = (text: string) => {
  const parsed = parseModelName(text)
  if (parsed === null) throw new Error(`${text} names no model`)
  return parsed
}

/** `a/1 +b/1 +c/1`: a champion and its shadows. */
function rollout(text: string) {
  const [champion = '', ...shadows] = text.split(' +')
  return { champion: model(champion), shadows: shadows.map(model) }
}

const written = (result: Changed): string => {
  if (result.kind === 'refused') return result.code
  const { champion, shadows } = result.rollout
  return [modelName(champion), ...shadows.map(modelName)].join(' +')
}

/** A list that begins with `first` and goes on with changes, as an operator would make them one after the other. */
class Story {
  readonly generations: Generation[]
  readonly lost = new Set<number>()
  constructor(first: string) {
    this.generations = [{ number: 1, ...rollout(first), reason: '', timeMs: 0 }]
  }
  do(kind: ModelChange['kind'], name?: string): string {
    const change = kind === 'rollback' ? { kind } : { kind, model: model(name ?? '') }
    const result = changed(this.generations, this.lost, change)
    if (result.kind === 'changed') {
      const { rollout: next, restores } = result
      const number = this.generations.length + 1
      this.generations.push({ number, ...next, reason: '', timeMs: 0, ...(restores === null ? {} : { restores }) })
    }
    return written(result)
  }
}

describe('a change of the models', () => {
  it('promotes, adds shadows and retires them, and leaves the rest as it was', () => {
    const story = new Story('a/1')
    expect(story.do('shadow', 'b/1')).toBe('a/1 +b/1')
    expect(story.do('shadow', 'c/1')).toBe('a/1 +b/1 +c/1')
    expect(story.do('promote', 'b/1'), 'a champion is no shadow').toBe('b/1 +c/1')
    expect(story.do('retire', 'c/1')).toBe('b/1')
  })

  it.each([
    ['promote', 'a/1', 'model_is_champion'],
    ['shadow', 'a/1', 'model_is_champion'],
    ['shadow', 'b/1', 'model_is_shadow'],
    ['retire', 'a/1', 'model_is_champion'],
    ['retire', 'c/1', 'model_not_serving'],
  ] as const)('%s %s is refused as %s', (kind, name, code) => {
    expect(new Story('a/1 +b/1').do(kind, name)).toBe(code)
  })

  it('a shadow is not the champion without its policy: it would score everything twice', () => {
    expect(new Story('a/1@2').do('shadow', 'a/1')).toBe('model_is_champion')
    expect(new Story('a/1').do('shadow', 'b/1@2')).toBe('shadow_with_policy')
  })

  it('has room for so many shadows and no more', () => {
    const story = new Story('a/1')
    for (let n = 0; n < shadowsMax; n += 1) story.do('shadow', `s/${n}`)
    expect(story.do('shadow', 'b/1')).toBe('too_many_shadows')
  })

  it('rolls back to the generation before, the next time further, and no further than the first', () => {
    const story = new Story('a/1')
    story.do('promote', 'b/1')
    story.do('promote', 'c/1')
    expect(story.do('rollback')).toBe('b/1')
    expect(story.do('rollback')).toBe('a/1')
    expect(story.do('rollback')).toBe('no_former_generation')
    expect(story.do('promote', 'd/1')).toBe('d/1')
    expect(story.do('rollback'), 'what was there before d').toBe('a/1')
  })

  it('builds on nothing that was refused everywhere', () => {
    const story = new Story('a/1')
    story.do('promote', 'bad/1')
    story.lost.add(2)
    expect(story.do('shadow', 'b/1')).toBe('a/1 +b/1')
    story.do('promote', 'bad/2')
    story.lost.add(4)
    expect(story.do('promote', 'bad/2'), 'after the file was repaired').toBe('bad/2 +b/1')
    story.lost.add(5)
    expect(story.do('rollback'), 'what is live').toBe('a/1 +b/1')
  })

  it.each(['a', 'a/', '/1', 'a/1/2', '../x', 'A/1', ''])('%j names no model', (text) => {
    expect(parseModelName(text)).toBeNull()
  })
})
