/**
 * The status of the states: whether they may be used, by one look at store, log and lake. Pure: the caller passes in
 * what it saw.
 */
export type StatesStatus =
  /** Nothing was ever processed here. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'whole' }
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly reason: string }

export const refusalCodes = [
  'state_lost',
  'state_rebuilding',
  'states_undrained',
  'lake_mismatch',
  'log_recreated',
] as const
export type RefusalCode = (typeof refusalCodes)[number]

/** What the look found in the state store. */
export interface StatesSeen {
  readonly isRebuilding: boolean
  /** Hash of the feature set that the states belong to; null before the first. */
  readonly featureSet: string | null
  /** Next offset to apply, by partition of the event topic. */
  readonly positions: ReadonlyMap<number, number>
  /** Id of the lake that belongs to them; null before the first. */
  readonly lake: string | null
}

/** What it found in the log of the event topic and the processors' consumer group. */
export interface LogSeen {
  readonly committed: ReadonlyMap<number, number>
  /** One past the newest record, by partition; null when the topic is not there. */
  readonly ends: ReadonlyMap<number, number> | null
}

/** What it found in the lake, where there is one to read. */
export interface LakeSeen {
  readonly id: string
  readonly dir: string
  /** Next offset that no file covers, by partition of the event topic. */
  readonly events: ReadonlyMap<number, number>
  /** Answers were materialized: states existed once. */
  readonly hasAnswers: boolean
}

export interface Viewer {
  /** The feature set of the program that looks. */
  readonly featureSet: string
  readonly namespace: string
  /** Positions that this process has seen before, by partition: a store that has forgotten them was emptied. */
  readonly remembered: ReadonlyMap<number, number>
  /** This program owned the states before: another version took them over, and commits itself what it applied. */
  readonly hasOwned: boolean
}

/** A look reads the log only where the store alone does not decide. */
export function needsLog(states: StatesSeen, viewer: Viewer, partitions: number): boolean {
  return states.positions.size < partitions || states.featureSet !== viewer.featureSet
}

/** `log` may be null where {@link needsLog} says no. */
export function statusOf(states: StatesSeen, log: LogSeen | null, lake: LakeSeen | null, viewer: Viewer): StatesStatus {
  const foreign = lakeMismatch(states.lake, lake, viewer.namespace)
  if (foreign !== null) return foreign
  if (states.isRebuilding)
    return refused('state_rebuilding', 'riverbank rebuild has not finished: call it again if it was interrupted')
  const lost = lostPartitions(states, log, viewer)
  if (lost.length > 0 || (states.positions.size === 0 && lake?.hasAnswers === true))
    return lossOf(lost, log, lake, viewer)
  if (log !== null && isBefore(states, viewer)) {
    const undrained = [...states.positions].find(([partition, next]) => next > (log.committed.get(partition) ?? 0))
    if (undrained !== undefined) return undrainedAt(undrained, log, states.featureSet ?? '')
  }
  return { kind: states.positions.size === 0 ? 'empty' : 'whole' }
}

/** The states still belong to an earlier version. */
function isBefore({ featureSet }: StatesSeen, viewer: Viewer): boolean {
  return featureSet !== null && featureSet !== viewer.featureSet && !viewer.hasOwned
}

/** Two lakes under one namespace would each hold a part of one history. */
export function lakeMismatch(known: string | null, lake: LakeSeen | null, namespace: string): StatesStatus | null {
  if (known === null || lake === null || known === lake.id) return null
  return refused(
    'lake_mismatch',
    `the states of namespace ${namespace} belong to lake ${known}, and ${lake.dir} holds lake ${lake.id}: give a second ` +
      'installation a RIVERBANK_NAMESPACE of its own, correct RIVERBANK_DATA_DIR, or run riverbank lake adopt where this ' +
      'lake takes the place of the other',
  )
}

export function refused(code: RefusalCode, reason: string): Extract<StatesStatus, { kind: 'refused' }> {
  return { kind: 'refused', code, reason }
}

/** Partitions whose position the store once had: the group has committed them, or this process has seen it. */
function lostPartitions({ positions }: StatesSeen, log: LogSeen | null, { remembered }: Viewer): number[] {
  const committed = [...(log?.committed ?? [])].filter(([, next]) => next > 0).map(([partition]) => partition)
  return [...new Set([...committed, ...remembered.keys()])].filter((partition) => !positions.has(partition))
}

function lossOf(
  lost: readonly number[],
  log: LogSeen | null,
  lake: LakeSeen | null,
  { remembered }: Viewer,
): StatesStatus {
  const reached = [...(lake?.events ?? []), ...remembered]
  const gone = reached.find(([partition, next]) => next > (log?.ends?.get(partition) ?? 0))
  if (log !== null && (log.ends === null || gone !== undefined)) {
    const end =
      gone === undefined ? 'there is no event topic' : `partition ${gone[0]} of the event topic ends below ${gone[1]}`
    return refused(
      'log_recreated',
      `the states are gone, and the log with them (${end}): restore the server of the log from its copy, or begin a new ` +
        'installation with another RIVERBANK_NAMESPACE and RIVERBANK_DATA_DIR; the lake stays readable',
    )
  }
  const what =
    lost.length === 0 ? 'all positions' : `the positions of partitions ${[...lost].sort((a, b) => a - b).join(', ')}`
  return refused(
    'state_lost',
    `the states were emptied, ${what} are gone: run riverbank rebuild; the roles go on when it is done`,
  )
}

function undrainedAt([partition, next]: readonly [number, number], log: LogSeen, featureSet: string): StatesStatus {
  const committed = log.committed.get(partition) ?? 0
  return refused(
    'states_undrained',
    `partition ${partition} is applied up to ${next} and committed up to ${committed}, under another feature set: run the ` +
      `version with feature set ${featureSet.slice(0, 12)} until it has drained, then this one`,
  )
}
