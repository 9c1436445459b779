/** What an aggregate computes from its slots, merged over the window. Null: there was nothing to aggregate. */
export type AggregateKind =
  | 'count'
  | 'sum'
  | 'mean'
  | 'min'
  | 'max'
  | 'stddev'
  | 'first'
  | 'last'
  | 'distinct'
  | 'rate'
  | 'seconds_since_first'
  | 'seconds_since_last'
  | 'run'

export interface AggregateRule {
  readonly type: 'integer' | 'double'
  readonly nullable: boolean
}

export const aggregateRules: Readonly<Record<AggregateKind, AggregateRule>> = {
  count: { type: 'integer', nullable: false },
  sum: { type: 'integer', nullable: false },
  mean: { type: 'double', nullable: true },
  min: { type: 'integer', nullable: true },
  max: { type: 'integer', nullable: true },
  stddev: { type: 'double', nullable: true },
  first: { type: 'integer', nullable: true },
  last: { type: 'integer', nullable: true },
  distinct: { type: 'integer', nullable: false },
  rate: { type: 'double', nullable: true },
  seconds_since_first: { type: 'double', nullable: true },
  seconds_since_last: { type: 'double', nullable: true },
  run: { type: 'integer', nullable: false },
}
