import { durationMs, windowMs, type Duration, type WindowLength } from '../base/units.ts'
import type { Aggregate } from './aggregate.ts'
import type { Entity } from './entity.ts'
import { featureReference, type Typed } from './expression.ts'
import { checkOptions } from './checks/options.ts'
import type { Reason } from './reason.ts'

/** Features of one entity over sliding windows. */
export interface View {
  readonly name: string
  readonly version: number
  readonly entity: Entity
  readonly aggregates: readonly Aggregate[]
  readonly windows: readonly WindowLength[]
  /** Width of a tile: the resolution of every window's ends. */
  readonly hop: Duration
  /** How long ago every window ends: a read sees only what is known by then. */
  readonly delay: Duration | '0s'
  /** By aggregate, where a reason says more than the description. */
  readonly reasons: Readonly<Record<string, Reason>>
}

type FeatureNameOf<A extends Aggregate, W extends string> = A extends Aggregate<infer Name> ? `${Name}_${W}` : never
type NullableOf<A extends Aggregate, W extends string, Name extends string> =
  A extends Aggregate<infer AggregateName, infer Nullable>
    ? Name extends `${AggregateName}_${W}`
      ? Nullable
      : never
    : never

/** A view whose features derived features and services can name; a wrong name does not compile. */
export interface TypedView<A extends Aggregate, W extends string> extends View {
  feature<Name extends FeatureNameOf<A, W>>(name: Name): Typed<NullableOf<A, W, Name>>
}

/** `account_logins__attempt_count_7d`: view, column, aggregate, window. */
export function featureName(view: string, aggregate: string, window: string): string {
  return `${view}__${aggregate}_${window}`
}

interface ViewOptions<A extends Aggregate, W extends WindowLength> {
  readonly name: string
  readonly version: number
  readonly entity: Entity
  readonly aggregates: readonly A[]
  readonly windows: readonly W[]
  readonly hop: Duration
  readonly delay?: Duration
  readonly reasons?: Readonly<Partial<Record<A['name'], Reason>>>
}

const viewOptions = {
  required: ['name', 'version', 'entity', 'aggregates', 'windows', 'hop'],
  optional: ['delay', 'reasons'],
} as const
const largestHopMs = durationMs('1d')
/** A state lives as long as its windows reach, and times of all stores end; what is older is of a lifetime. */
const longestWindow = '36500d'

export function defineView<const A extends Aggregate, const W extends WindowLength>(
  options: ViewOptions<A, W>,
): TypedView<A, W> {
  const { name, windows, hop, aggregates } = options
  const mistake = (text: string) => new Error(`view "${name}": ${text}`)
  checkView(options, mistake)
  const delay = options.delay ?? '0s'
  // Its keys are names of aggregates; a view has them as strings.
  const reasons = { ...options.reasons } as Readonly<Record<string, Reason>>
  const view: View = {
    name,
    version: options.version,
    entity: options.entity,
    aggregates,
    windows,
    hop,
    delay,
    reasons,
  }
  return Object.freeze({
    ...view,
    feature<Name extends FeatureNameOf<A, W>>(feature: Name): Typed<NullableOf<A, W, Name>> {
      const aggregate = aggregates.find((a) => windows.some((w) => feature === `${a.name}_${w}`))
      if (aggregate === undefined) {
        const known = aggregates.flatMap((a) => windows.map((w) => `${a.name}_${w}`))
        throw mistake(`has no feature ${feature}; it has ${known.join(', ')}`)
      }
      // The name determines the aggregate, and the aggregate's type whether the value can be missing.
      return featureReference(`${name}__${feature}`, aggregate.nullable as NullableOf<A, W, Name>)
    },
  })
}

function checkView(options: ViewOptions<Aggregate, WindowLength>, mistake: (text: string) => Error): void {
  checkOptions(`view "${options.name}"`, options, viewOptions)
  const { name, version, windows, hop, aggregates, delay = '0s' } = options
  if (!/^[a-z]+(_[a-z]+)*$/.test(name)) throw mistake('write the name in lower_snake_case')
  if (!Number.isSafeInteger(version) || version < 1) throw mistake('the version is a whole number from 1 on')
  if (aggregates.length === 0 || windows.length === 0) throw mistake('needs at least one aggregate and one window')
  const lengthMs = (duration: string) => {
    try {
      return durationMs(duration)
    } catch (error) {
      throw mistake(error instanceof Error ? error.message : String(error))
    }
  }
  const hopMs = lengthMs(hop)
  if (hopMs === 0) throw mistake('the hop must be longer than nothing')
  if (hopMs > largestHopMs) throw mistake('the hop is at most a day')
  for (const duration of [...windows, delay]) {
    if (duration === 'lifetime') continue
    if (lengthMs(duration) > durationMs(longestWindow)) throw mistake(`${duration} is longer than ${longestWindow}`)
    if (lengthMs(duration) % hopMs !== 0) throw mistake(`the hop ${hop} does not divide ${duration}`)
  }
  if (windows.some((window) => windowMs(window) === 0)) throw mistake('a window must be longer than nothing')
  if (new Set(windows.map(windowMs)).size < windows.length) throw mistake('two windows have the same length')
  const repeated = aggregates.find((a, i) => aggregates.findIndex((b) => b.name === a.name) !== i)
  if (repeated !== undefined) throw mistake(`two aggregates are both named ${repeated.name}`)
  const unknown = Object.keys(options.reasons ?? {}).find((named) => !aggregates.some((one) => one.name === named))
  if (unknown !== undefined) throw mistake(`reasons: it has no aggregate ${unknown}`)
  if (windows.includes('lifetime') && aggregates.some(({ kind }) => kind === 'run')) {
    throw mistake('a run needs a window with a beginning: what a lifetime has forgotten it holds without its order')
  }
}
