import { isRiverbankError } from '../../base/errors.ts'
import type { Position } from '../../ports/log.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import { compared, reject, type AdmittedEvent, type IntakeResult } from './event-intake.ts'

type Sources = Pick<ServeDependencies, 'log' | 'eventsTopic' | 'knownEvents' | 'ledger' | 'lake' | 'logger' | 'limits'>

/**
 * Turns the events whose identity the log has already into repeats, or refuses them (`event_conflict`; `unavailable` if
 * the first one cannot be read now). Best effort: {@link afterPublishing} or the processor finds the repeats of events
 * that the ledger has not read yet.
 */
export async function findRepeats(results: readonly IntakeResult[], sources: Sources): Promise<IntakeResult[]> {
  const { ledger } = sources
  const unseen: AdmittedEvent[] = []
  const found = new Map<IntakeResult, IntakeResult>()
  for (const event of results) {
    if (event.kind !== 'admitted') continue
    const entry = ledger.find(event)
    if (entry === null) unseen.push(event)
    else if (!entry.isUncounted) found.set(event, compared(event, { content: entry.content, first: entry }))
  }
  const remembered = await rememberedOf(unseen, sources)
  // A processor may apply an event before this process reads it: the event is in the log, and will be here in a moment.
  if (remembered.length > 0) await readToEnd(sources)
  for (const event of remembered) {
    const entry = ledger.find(event)
    const known =
      entry === null ? await compareWithLake(event, sources) : compared(event, { content: entry.content, first: entry })
    found.set(event, known)
  }
  return found.size === 0 ? [...results] : followed(results, found)
}

/**
 * Another process may have published the same identity between this one's check and its write. Once this process has
 * read its own record back, it knows which one was first. It does not wait for a tail that lags: then the processor
 * decides.
 */
export async function afterPublishing(
  results: readonly IntakeResult[],
  positions: ReadonlyMap<IntakeResult, Position>,
  { ledger, limits }: Sources,
): Promise<IntakeResult[]> {
  if (positions.size === 0 || !ledger.isCaughtUp) return [...results]
  const found = new Map<IntakeResult, IntakeResult>()
  await Promise.all(
    [...positions].map(async ([event, position]) => {
      if (event.kind !== 'admitted' || !(await ledger.hasSeen(position, limits.readBackMsMax))) return
      const entry = ledger.find(event)
      if (entry === null || (entry.partition === position.partition && entry.offset === position.offset)) return
      found.set(event, compared(event, { content: entry.content, first: entry }))
    }),
  )
  return found.size === 0 ? [...results] : followed(results, found)
}

/**
 * Waits until the ledger has read what the log holds now. Best effort: the lake may hold what the ledger then lacks.
 */
async function readToEnd({ log, eventsTopic, ledger, limits, logger }: Sources): Promise<void> {
  if (!ledger.isCaughtUp) return
  try {
    const ranges = (await log.describeTopic(eventsTopic)) ?? []
    const full = ranges.filter(({ start, end }) => end > start)
    await Promise.all(
      full.map(({ partition, end }) => ledger.hasSeen({ partition, offset: end - 1 }, limits.readBackMsMax)),
    )
  } catch (error) {
    logger.warn('the end of the log was not looked up', { error })
  }
}

/** A repeat of an event of the same request gets the result of that event: refused if that one was refused. */
function followed(results: readonly IntakeResult[], found: ReadonlyMap<IntakeResult, IntakeResult>): IntakeResult[] {
  return results.map((result) => {
    const own = found.get(result)
    if (own !== undefined) return own
    if (result.kind !== 'repeated' || !('kind' in result.first)) return result
    const first = found.get(result.first)
    if (first?.kind === 'repeated') return { ...result, first: first.first }
    return first?.kind === 'rejected' ? { ...first, eventId: result.eventId } : result
  })
}

/** The events that the states of their aggregates remember. */
async function rememberedOf(
  events: readonly AdmittedEvent[],
  { knownEvents, logger }: Sources,
): Promise<AdmittedEvent[]> {
  if (events.length === 0) return []
  try {
    const known = await knownEvents.known(events)
    return events.filter((_, index) => known[index] === true)
  } catch (error) {
    logger.warn('duplicates not looked up', { error })
    return []
  }
}

async function compareWithLake(event: AdmittedEvent, { lake, logger }: Sources): Promise<IntakeResult> {
  try {
    const first = await lake.event(event)
    if (first !== null) return compared(event, { content: first.content, first })
  } catch (error) {
    if (!isRiverbankError(error) || !error.canRetry) throw error
    logger.warn('a repeat was not compared with the first', { error })
  }
  const detail = 'an event of this aggregate with this id came before; what it said cannot be read just now'
  return reject(event.eventId, 'unavailable', detail)
}
