import type { Change, Difference, FeatureSetDifference } from '../../../compile/feature-set-diff.ts'

/** The difference as text: one line for each addition, removal and change. */
export function differenceText(difference: FeatureSetDifference): string {
  const { equal, hash } = difference
  if (equal) return `equal: ${hash.after.slice(0, 12)}\n`
  const lines = [
    ...linesOf('event', difference.events),
    ...linesOf('entity', difference.entities),
    ...linesOf('view', difference.views),
    ...linesOf('feature', difference.features),
    ...linesOf('service', difference.services),
  ]
  const said = lines.length === 0 ? ['nothing but the order of the definitions is another'] : lines
  return `${[`${hash.before.slice(0, 12)} → ${hash.after.slice(0, 12)}`, ...said].join('\n')}\n`
}

function linesOf(what: string, { added, removed, changed }: Difference): string[] {
  return [
    ...removed.map((name) => `- ${what} ${name}`),
    ...added.map((name) => `+ ${what} ${name}`),
    ...changed.map(({ name, changes }) => `~ ${what} ${name}: ${changes.map(changeText).join('; ')}`),
  ]
}

function changeText({ what, before, after }: Change): string {
  if (what === 'expression') return 'another expression'
  if (what === 'slots') return `slots ${textOf(before)} → ${textOf(after)}`
  if (what === 'meaning') return 'one of its features means something else'
  if (what === 'order of the vector') return 'another order of the vector'
  if (before === null && Array.isArray(after)) return `${what}: ${after.join(', ')}`
  if (after === null && Array.isArray(before)) return `${what}: ${before.join(', ')}`
  return `${what} ${textOf(before)} → ${textOf(after)}`
}

function textOf(value: unknown): string {
  if (value === null) return 'nothing'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
