import type { ReasonForm, ReasonUnit } from '../engine/reason-form.ts'
import { durationMs, minuteMs, hourMs, dayMs, secondMs } from '../base/units.ts'

/**
 * The sentence for a feature that pushes a score towards fraud; made by {@link measure} and {@link condition}. The code
 * is the feature's name unless one is given.
 */
export type Reason =
  | {
      readonly kind: 'measure'
      readonly code?: string
      readonly text: string
      readonly unit: ReasonUnit
      readonly digits?: number
    }
  | { readonly kind: 'condition'; readonly code?: string; readonly yes: string; readonly no: string }

interface Coded {
  /** Stable, for programs; a view appends the window. */
  readonly code?: string
}

/**
 * A sentence with `{value}`; `{s}` is the plural of a count, and in a view `{window}` is its length in words, such as
 * `{value} login{s} in {window}`. `digits`: of the minor unit of amounts, 2 when left out.
 */
export function measure(
  text: string,
  options: Coded & { readonly unit?: ReasonUnit; readonly digits?: number } = {},
): Reason {
  if (text.split('{value}').length !== 2)
    throw new Error(`reason "${text}": write {value} where the value belongs, once`)
  checkText(text, ['{value}', '{s}', '{window}'])
  const { unit = 'number', digits } = options
  if (digits !== undefined && unit !== 'amount' && unit !== 'minor_units')
    throw new Error(`reason "${text}": digits are of amounts`)
  // Leaves out the default: sets that relied on it keep their hash.
  const ownDigits = digits === undefined || digits === 2 ? {} : { digits }
  return Object.freeze({ kind: 'measure', text, unit, ...ownDigits, ...codeOf(options) })
}

/** One sentence for a feature that is 1, and one for 0. */
export function condition(texts: Coded & { readonly yes: string; readonly no: string }): Reason {
  const { yes, no } = texts
  for (const text of [yes, no]) checkText(text, ['{window}'])
  return Object.freeze({ kind: 'condition', yes, no, ...codeOf(texts) })
}

function checkText(text: string, known: readonly string[]): void {
  const unknown = text.match(/\{[^}]*\}/g)?.find((place) => !known.includes(place))
  if (unknown !== undefined) throw new Error(`reason "${text}": there is no ${unknown}`)
}

function codeOf({ code }: Coded): Coded {
  if (code === undefined) return {}
  if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(code))
    throw new Error(`reason code "${code}": write it in lower_snake_case`)
  return { code }
}

/** Resolves the reason of a feature; with `window`, of a view's feature over it. */
export function reasonForm(reason: Reason, feature: string, window: string | null = null): ReasonForm {
  const suffix = window === null ? '' : `_${window}`
  const code = reason.code === undefined ? feature : `${reason.code}${suffix}`
  const told = (text: string) => (window === null ? text : text.replaceAll('{window}', windowInWords(window)))
  if (reason.kind === 'condition') return { kind: 'condition', code, yes: told(reason.yes), no: told(reason.no) }
  return { kind: 'measure', code, text: told(reason.text), unit: reason.unit, ...digitsOf(reason) }
}

function digitsOf({ digits }: { readonly digits?: number }): { readonly digits?: number } {
  return digits === undefined ? {} : { digits }
}

const words = [
  { unit: 'day', ms: dayMs },
  { unit: 'hour', ms: hourMs },
  { unit: 'minute', ms: minuteMs },
  { unit: 'second', ms: secondMs },
] as const

function windowInWords(window: string): string {
  if (window === 'lifetime') return 'all the time it is known'
  const length = durationMs(window)
  const { unit, ms } = words.find((word) => length % word.ms === 0) ?? words[3]
  const count = length / ms
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
