import { names, type Config } from '../installation/settings/config.ts'
import { tellEviction } from '../installation/servers/eviction.ts'
import {
  bindLake,
  existingLake,
  lakeSeen,
  openLogMetadata,
  type LakeMetadata,
} from '../installation/lake/lake-binding.ts'
import { nextRun } from './lifecycle/next-run.ts'
import { repeat } from './lifecycle/repeat.ts'
import { isRiverbankError, RiverbankError } from '../../base/errors.ts'
import {
  needsLog,
  statusOf,
  type LakeSeen,
  type LogSeen,
  type StatesStatus,
  type StatesSeen,
} from '../../engine/states-status.ts'
import type { Lake } from '../../lake/commit/lake.ts'
import type { EventLog } from '../../ports/log.ts'
import { stateMetadata, type StateStore } from '../../ports/states.ts'
import type { Logger, Meter } from '../../ports/telemetry.ts'
import type { Sleeper } from '../../process/retry.ts'

export interface StateWatchOptions {
  readonly config: Config
  readonly store: StateStore
  readonly log: Pick<EventLog, 'committed' | 'describeTopic'>
  /** Hash of the feature set of this program. */
  readonly featureSet: string
  readonly clock: Sleeper
  readonly logger: Logger
  readonly meter: Meter
}

/**
 * One process's knowledge of its states: whether they were emptied, are being rebuilt, or belong to another
 * installation.
 */
export interface StateWatch {
  /** The result of the newest check. */
  statesStatus(): StatesStatus
  /**
   * The status for one who has just read the store: that of the newest check if the store still has every position that
   * this process has seen, else that of another check. Begins after the call; concurrent callers share it. Errors: those
   * of store and log.
   */
  confirm(): Promise<StatesStatus>
  /** Null when the states may be used, else the reason; also when the check fails. */
  ready(): Promise<string | null>
  /** Checks. Errors: the code of a refused status, and those of store and log. */
  require(): Promise<void>
  /** Rejects when the role must end: another lake, another log. */
  readonly failed: Promise<never>
  stop(): Promise<void>
}

/** Codes that keep a role from starting, and end a running one: no rebuild mends them. */
const fatal: ReadonlySet<string> = new Set(['lake_mismatch', 'log_recreated'])

export function isFatal({ code }: Extract<StatesStatus, { kind: 'refused' }>): boolean {
  return fatal.has(code)
}

/**
 * Checks the store every STATES_CHECK_MS with some GETs and the positions, whatever the traffic, and the newest commit
 * of the lake. It asks the log only if the store leaves something open. Errors of the first check: `lake_mismatch`,
 * `log_recreated`, and those of store and log.
 */
export async function startStateWatch(options: StateWatchOptions): Promise<StateWatch> {
  const { config, clock, logger } = options
  await tellEviction(config, logger)
  const logMetadata = await openLogMetadata(config)
  const statusReader = new StatusReader(options, logMetadata === null ? [options.store] : [options.store, logMetadata])
  let fail: (error: unknown) => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  // A caller that races with it gets the error; a role that ends first does not.
  failed.catch(() => undefined)
  const require = async (): Promise<void> => {
    throwRefusal(await statusReader.look())
  }
  try {
    const first = await statusReader.look()
    if (first.kind === 'refused' && isFatal(first)) throwRefusal(first)
  } catch (error) {
    await logMetadata?.close()
    throw error
  }
  const looking = repeat(clock, config.STATES_CHECK_MS, async () => {
    try {
      const statesStatus = await statusReader.look()
      if (statesStatus.kind === 'refused' && isFatal(statesStatus)) fail(refusalOf(statesStatus))
    } catch (error) {
      logger.debug('looking at the states failed, trying again', { error })
    }
  })
  return {
    statesStatus: () => statusReader.statesStatus,
    confirm: () => statusReader.confirm(),
    require,
    async ready() {
      try {
        await require()
        return null
      } catch (error) {
        return isRiverbankError(error) ? `${error.code}: ${error.message}` : 'the states cannot be looked at'
      }
    },
    failed,
    async stop() {
      await looking.stop()
      await logMetadata?.close()
    },
  }
}

/** One check, for commands that need no watch. `bindsLake`: writes the lake's id to states that have none. */
export async function readStatusOnce(
  options: Omit<StateWatchOptions, 'clock' | 'logger' | 'meter'>,
  { bindsLake }: { readonly bindsLake: boolean },
): Promise<StatesStatus> {
  const logMetadata = await openLogMetadata(options.config)
  try {
    return await new StatusReader(
      options,
      logMetadata === null ? [options.store] : [options.store, logMetadata],
      bindsLake,
    ).look()
  } finally {
    await logMetadata?.close()
  }
}

function refusalOf({ code, reason }: Extract<StatesStatus, { kind: 'refused' }>): RiverbankError {
  return new RiverbankError(code, reason)
}

function throwRefusal(statesStatus: StatesStatus): void {
  if (statesStatus.kind === 'refused') throw refusalOf(statesStatus)
}

/** A command that checks once reports to its caller only. */
type StatusReaderOptions = Omit<StateWatchOptions, 'clock' | 'logger' | 'meter'> & Partial<StateWatchOptions>

class StatusReader {
  statesStatus: StatesStatus = { kind: 'empty' }
  readonly #options: StatusReaderOptions
  readonly #storeMetadata: LakeMetadata
  readonly #bindsLake: boolean
  readonly #remembered = new Map<number, number>()
  #hasOwned = false
  readonly #gauge
  #lake: Lake | null = null
  #isLakeReadable = true
  readonly look = nextRun(() => this.#see())
  /** Positions are the witness of an emptied store: see docs/decisions/0019. */
  readonly confirm = nextRun(async () => {
    const { config, store } = this.#options
    const positions = await store.positions(names(config).topics.events)
    const seen = [...this.#remembered.keys()]
    return seen.length > 0 && seen.every((partition) => positions.has(partition)) ? this.statesStatus : this.look()
  })

  constructor(options: StatusReaderOptions, storeMetadata: LakeMetadata, bindsLake = true) {
    this.#options = options
    this.#storeMetadata = storeMetadata
    this.#bindsLake = bindsLake
    this.#gauge = options.meter?.gauge(
      'riverbank_states',
      'How the states stand: 1 for empty, whole, or the code with which they are refused',
      ['status'],
    )
  }

  async #see(): Promise<StatesStatus> {
    const { config, store, log, featureSet, logger } = this.#options
    const { topics } = names(config)
    // The lake first: the log had its records before, and may have grown since, but not shrunk.
    const seenLake = await this.#seeLake()
    let states = await statesSeen(store, topics.events)
    const viewer = { ...this.#memory, featureSet, namespace: config.NAMESPACE }
    let seenLog: LogSeen | null = null
    if (needsLog(states, viewer, config.PARTITIONS)) {
      seenLog = await logSeen(config, log)
      // Once more, after the log: an offset committed by then has a position by now, unless it was lost.
      states = await statesSeen(store, topics.events)
    }
    let statesStatus = statusOf(states, seenLog, seenLake, viewer)
    if (statesStatus.kind !== 'refused' && seenLake !== null && this.#bindsLake) {
      statesStatus = (await bindLake(config, seenLake, this.#storeMetadata, log)) ?? statesStatus
    }
    for (const [partition, next] of states.positions) this.#remembered.set(partition, next)
    this.#hasOwned ||= states.featureSet === featureSet
    if (labelOf(statesStatus) !== labelOf(this.statesStatus)) {
      if (statesStatus.kind === 'refused')
        logger?.error('the states are refused', { code: statesStatus.code, reason: statesStatus.reason })
      else logger?.info('the states are in order', { status: statesStatus.kind })
    }
    this.statesStatus = statesStatus
    this.#gauge?.clear()
    this.#gauge?.set(1, { status: labelOf(statesStatus) })
    return statesStatus
  }

  get #memory() {
    return { remembered: this.#remembered, hasOwned: this.#hasOwned }
  }

  /** An unreadable lake is no reason to stop scoring: store and log show the same. */
  async #seeLake(): Promise<LakeSeen | null> {
    const { config, logger } = this.#options
    try {
      this.#lake ??= await existingLake(config)
      const seen = this.#lake === null ? null : await lakeSeen(config, this.#lake)
      this.#isLakeReadable = true
      return seen
    } catch (error) {
      if (this.#isLakeReadable)
        logger?.error('the states are looked at without the lake, which cannot be read', { error })
      this.#isLakeReadable = false
      return null
    }
  }
}

function labelOf(statesStatus: StatesStatus): string {
  return statesStatus.kind === 'refused' ? statesStatus.code : statesStatus.kind
}

async function statesSeen(store: StateStore, topic: string): Promise<StatesSeen> {
  const [rebuild, featureSet, lake, positions] = await Promise.all([
    store.metadata(stateMetadata.rebuild),
    store.metadata(stateMetadata.featureSet),
    store.metadata(stateMetadata.lake),
    store.positions(topic),
  ])
  return { isRebuilding: rebuild !== null, featureSet, lake, positions }
}

async function logSeen(config: Config, log: StateWatchOptions['log']): Promise<LogSeen> {
  const { topics, groups } = names(config)
  const ranges = await log.describeTopic(topics.events)
  const ends = ranges === null ? null : new Map(ranges.map(({ partition, end }) => [partition, end]))
  return { committed: ends === null ? new Map() : await log.committed(groups.process, topics.events), ends }
}
