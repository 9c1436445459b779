import type { z } from 'zod'
import type { DomainEvent } from '../events/event.ts'
import type { EventDefinition } from './event-type.ts'

/** An event as its sender would write it. */
export type SimulatedEvent = DomainEvent

/** Events in time order; at equal times a label comes before what is scored. */
export type SimulatedEvents = Iterable<SimulatedEvent> | AsyncIterable<SimulatedEvent>

/**
 * A project's own generator. Days are numbered from 0; the same request gives the same events, in any process. It reads
 * no clock: the caller passes in the present.
 */
export interface Simulator {
  /** What is simulated, in one sentence, for help texts. */
  readonly about: string
  /** Day 0 of a history that is not moved, milliseconds UTC at 00:00. */
  readonly epochMs: number
  /** Default delay from a scored event to its label. */
  readonly labelDelayMs: number
  /** How many days of history there are. */
  days(choice: SimulatorChoice): number
  /** Whole numbers that a run may choose, such as the size of the world; each with a default and a description. */
  readonly options: Readonly<Record<string, SimulatorOption>>
  /** Draws a history without its events, which depend on where it lies in time. */
  draw(range: SimulatedRange): SimulatedHistory
  /** Continues after a history: each step asks the clock and yields a label that is due, else an event to score. */
  live(request: LiveRequest): SimulatedEvents
}

export interface SimulatorOption {
  readonly about: string
  readonly byDefault: number
  readonly min: number
  readonly max: number
}

/** Values of {@link Simulator.options}, all of them. */
export type SimulatorChoice = Readonly<Record<string, number>>

export interface SimulatedRange {
  readonly choice: SimulatorChoice
  /** First day, and first day that is left out: the end of the history when there is none. */
  readonly fromDay: number
  readonly toDay?: number
  /** Only the first so many events that are scored. */
  readonly limit?: number
}

/** A range of days, drawn. */
export interface SimulatedHistory {
  /** Events that are scored. */
  readonly scored: number
  /**
   * Its end in milliseconds since the beginning of day 0: that of its last day or, if limited, just after its last
   * event.
   */
  readonly endMs: number
  /** The days from this one on. */
  fromDay(day: number): SimulatedHistory
  placed(place: HistoryPlace): PlacedHistory
  /** The rows as text, where the project's data set has a form of its own that a checksum can identify. */
  lines?(): Iterable<string>
}

/** The history's place in time, and the prefix of its event ids. */
export interface HistoryPlace {
  /** When day 0 begins, milliseconds UTC. */
  readonly originMs: number
  /** Put before every event id. Runs that share a log need different ones, or their events count as duplicates. */
  readonly idPrefix: string
  /** null: no labels. */
  readonly labelDelayMs: number | null
  /** Labels of this time and later are left out; they are `pending`. */
  readonly labelsBeforeMs: number
}

export interface PlacedHistory {
  readonly labels: number
  /** In time order. */
  readonly events: SimulatedEvents
  /** Labels that become known later, in time order. */
  readonly pending: readonly SimulatedEvent[]
}

export interface LiveRequest {
  readonly choice: SimulatorChoice
  /** An unsigned 32-bit integer. The same seed and the same clock give the same events. */
  readonly seed: number
  /** Put before every event id; must differ between runs on one log. */
  readonly idPrefix: string
  /** When day 0 of the history began. */
  readonly originMs: number
  /** Asked once for every event: its answer is the event's time. */
  readonly nowMs: () => number
  /** null: no labels. */
  readonly labelDelayMs: number | null
  /** Labels of the history that are still to come, in time order. */
  readonly pending: readonly SimulatedEvent[]
  /** Ends after so many events that are scored; without it, never. */
  readonly limit?: number
}

const source = 'urn:riverbank:simulator'

/** An event of this type, in its current version. `cause`: the id of the event that it is about. */
export function simulatedEvent<Type extends string, Schema extends z.ZodObject>(
  type: EventDefinition<Type, Schema>,
  event: { readonly id: string; readonly timeMs: number; readonly data: z.infer<Schema>; readonly cause?: string },
): DomainEvent<z.infer<Schema>> & { readonly eventType: Type } {
  const { id, timeMs, data, cause } = event
  return {
    eventId: id,
    eventType: type.type,
    // The simulator sets the event's time.
    timestamp: timeMs,
    // The schema of every type is one of an object.
    aggregateId: String((data as Readonly<Record<string, unknown>>)[type.aggregateField]),
    aggregateType: type.aggregateType,
    version: type.currentVersion,
    ...(cause === undefined ? {} : { causationId: cause }),
    correlationId: cause ?? id,
    data,
    metadata: { source },
  }
}
