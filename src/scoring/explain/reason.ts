import { z } from 'zod'
import { assert } from '../../base/errors.ts'
import type { FeatureManifest } from '../../engine/feature-set.ts'
import type { ReasonUnit, ReasonForm } from '../../engine/reason-form.ts'

/** One feature that pushed a score towards fraud. */
export const reasonSchema = z.object({
  code: z.string().describe('stable; of one feature'),
  text: z.string().describe('for people; do not parse it'),
  feature: z.string(),
  value: z.number(),
  usual: z.number().optional().describe("the value's median over the training data, or its mean where that is 0"),
  contribution: z
    .number()
    .describe("its share (SHAP), above 0, of the score's log odds; of the score itself where the model adds those up"),
})
export type Reason = z.infer<typeof reasonSchema>

/** A feature over the training data. */
export interface FeatureStats {
  readonly mean: number
  readonly median: number
}

/** As many as a person reads. */
export const reasonsMax = 4

/** By element of a model's vector. */
export interface ReasonSubject {
  readonly contributions: ArrayLike<number>
  readonly values: ArrayLike<number>
  /** Null where the model does not say. */
  readonly stats: readonly (FeatureStats | null)[]
}

/** Words the reasons of one score, the strongest first, of equal ones the first in the vector. */
export type ReasonWriter = (subject: ReasonSubject) => Reason[]

/** For vectors of these features. */
export function createReasonWriter(names: readonly string[], features: readonly FeatureManifest[]): ReasonWriter {
  const known = new Map(features.map((feature) => [feature.name, feature]))
  const forms = names.map((name) => formOf(name, known.get(name)))
  return ({ contributions, values, stats }) => {
    const pushing = [...names.keys()].filter((element) => (contributions[element] ?? 0) > 0)
    const strongest = pushing.sort((a, b) => (contributions[b] ?? 0) - (contributions[a] ?? 0) || a - b)
    return strongest.slice(0, reasonsMax).map((element) => {
      const [form, feature, value] = [forms[element], names[element], values[element]]
      assert(
        form !== undefined && feature !== undefined && value !== undefined,
        () => `the vector has an element ${element}`,
      )
      const of = stats[element] ?? null
      const usual = of === null ? null : of.median === 0 ? of.mean : of.median
      return {
        code: form.code,
        text: sentence(form, value, of?.mean ?? null, usual),
        feature,
        value,
        ...(usual === null ? {} : { usual }),
        contribution: contributions[element] ?? 0,
      }
    })
  }
}

function formOf(name: string, feature: FeatureManifest | undefined): ReasonForm {
  if (feature?.reason !== undefined) return feature.reason
  return { kind: 'measure', code: name, text: `${feature?.description ?? name}: {value}`, unit: 'number' }
}

function sentence(form: ReasonForm, value: number, mean: number | null, usual: number | null): string {
  if (form.kind === 'condition') {
    const text = value === 0 ? form.no : form.yes
    return mean === null ? text : `${text}, like ${shown(value === 0 ? 1 - mean : mean, 'share')} of events`
  }
  const text = form.text
    .replace('{value}', shown(value, form.unit, form.digits))
    .replaceAll('{s}', value === 1 ? '' : 's')
  return usual === null ? text : `${text}, usually ${shown(usual, form.unit, form.digits)}`
}

const durations = [
  { unit: 'day', seconds: 86_400 },
  { unit: 'hour', seconds: 3_600 },
  { unit: 'minute', seconds: 60 },
  { unit: 'second', seconds: 1 },
] as const

/** The same text on every machine: no locale takes part. */
function shown(value: number, unit: ReasonUnit, digits = 2): string {
  switch (unit) {
    case 'amount':
      return value.toFixed(digits)
    case 'minor_units':
      return (value / 10 ** digits).toFixed(digits)
    case 'share':
      return `${short(value * 100)}%`
    case 'times':
      return `${short(value)} times`
    case 'seconds': {
      const { unit: name, seconds } = durations.find((duration) => value >= duration.seconds) ?? durations[3]
      const count = short(value / seconds)
      return `${count} ${name}${count === '1' ? '' : 's'}`
    }
    case 'number':
      return Number.isInteger(value) ? `${value}` : short(value)
  }
}

/** Three digits that matter. */
function short(value: number): string {
  return `${Number(value.toPrecision(3))}`
}
