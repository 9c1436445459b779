import { join } from 'node:path'
import { names } from '../installation/settings/config.ts'
import type { Definitions } from '../installation/settings/definitions.ts'
import type { Role } from './lifecycle/role.ts'
import { lakeLookupDefaults, openLakeLookup } from './score-lookup.ts'
import type { Lake } from '../../lake/commit/lake.ts'
import type { EventLog, LogRecord } from '../../ports/log.ts'
import type { LakeLookup } from '../../serve/http/dependencies.ts'
import { EventLedger } from '../../serve/events/event-ledger.ts'
import { readScore, ScoreEntry } from '../../serve/scores/score-entry.ts'
import { ScoreSpool } from '../../serve/scores/score-spool.ts'
import { readHistory, recentScores } from '../../serve/scores/score-tail.ts'

const mebibyte = 1_048_576
const segmentBytes = 64 * mebibyte
/** A score is ten times as large as an event, and reading history must not hold back new scores. */
const historyRecords = 200

/** The single events and scores that a serve process knows without asking the states. */
export interface Lookups {
  readonly ledger: EventLedger
  readonly spool: ScoreSpool
  readonly lake: LakeLookup
  /** Rejects when the tail of the events has failed. */
  readonly finished: Promise<void>
  /** Reads the scores before these positions again, in the background. */
  readHistory(until: ReadonlyMap<number, number>): Promise<void>
  close(): Promise<void>
}

/** Event types of scores. */
export function scoreTypesOf({ scoreForms }: Pick<Definitions, 'scoreForms'>): ReadonlySet<string> {
  return new Set([...scoreForms.values()].map(({ emits }) => emits))
}

/** Begins to follow the events, from as far back as the ledger reaches. Errors: those of the log. */
export async function openLookups(
  { config, logger, meter }: Role,
  { log, lake, definitions }: { readonly log: EventLog; readonly lake: Lake; readonly definitions: Definitions },
): Promise<Lookups> {
  const { topics } = names(config)
  const { catalog, lakeSchema: schema, scoreForms } = definitions
  const capacity = config.LOOKUP_SCORES
  const events = await recentScores(log, { topic: topics.events, records: capacity })
  const ledger = new EventLedger({ catalog, scoredTypes: new Set(scoreForms.keys()), capacity, live: events.live })
  const spool = new ScoreSpool({
    ...{ dir: join(config.DATA_DIR, 'serve'), capacity, segmentBytes, meter, logger },
    bytesMax: config.LOOKUP_DISK_MB * mebibyte,
  })
  const scoreTypes = scoreTypesOf(definitions)
  const listBytesMax = config.LOOKUP_LISTS_MB * mebibyte
  const lookup = openLakeLookup({ ...lakeLookupDefaults, lake, schema, catalog, listBytesMax })
  const tail = await log.tail(
    { topic: topics.events, from: events.from, maxRecords: 2_000, maxWaitMs: 500 },
    (batch) => {
      ledger.accept(batch)
      return Promise.resolve()
    },
  )
  let history: Awaited<ReturnType<typeof readHistory>> | null = null
  const take = (records: readonly LogRecord[]) => {
    const read = records.map((record) => readScore(record, scoreTypes))
    for (const entry of read) {
      if (entry === null || entry === 'unreadable' || entry instanceof ScoreEntry) continue
      ledger.settle(entry)
    }
    return spool.add(read.filter((entry) => entry instanceof ScoreEntry))
  }
  return {
    ledger,
    spool,
    lake: lookup,
    finished: tail.finished,
    async readHistory(until) {
      history = await readHistory(
        log,
        { topic: topics.scores, records: capacity, until, maxRecords: historyRecords },
        take,
      )
      history.finished.catch((error: unknown) => {
        // The lake has the scores that it did not read.
        logger.warn('older scores were not read again', { error })
      })
    },
    async close() {
      await history?.stop()
      await tail.stop()
      await Promise.all([spool.close(), lookup.close()])
    },
  }
}
