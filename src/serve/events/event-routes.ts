import { z } from 'zod'
import { loopClock } from '../../clock/loop-clock.ts'
import type { FoundScore } from '../scores/score-entry.ts'
import { traceHeader, validTraceparent } from '../../events/trace.ts'
import { eventLimits } from '../../events/envelope.ts'
import { httpBinding, isBinaryMode, readBinaryEvent } from '../../events/codec/binary-event.ts'
import { historyHeader } from '../../events/event-time.ts'
import { structuredHeaders } from '../../events/event.ts'
import { eventErrorCodes } from '../../events/event-error-code.ts'
import { assert, isRiverbankError, RiverbankError } from '../../base/errors.ts'
import type { Position } from '../../ports/log.ts'
import { parseJson, readBody, requireMediaType } from '../http/body.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import { admitEvents, type AdmittedEvent, type IntakeResult, type RepeatedEvent } from './event-intake.ts'
import { afterPublishing, findRepeats } from './event-repeats.ts'
import { eventSchemas } from './event-schemas.ts'
import { invalid, parseWaitMs } from '../http/parameters.ts'
import { describeProblem, problemResponse } from '../http/problem.ts'
import { jsonResponse, type Route, type ServeContext } from '../http/route.ts'
import { named, scoreSchemas, type EventResult } from '../http/schemas.ts'
import { findScore } from '../scores/score-lookup.ts'
import { markPending } from '../scores/score-routes.ts'
import { isRecord } from '../../base/record.ts'

const batchType = 'application/cloudevents-batch+json'
const eventType = 'application/cloudevents+json'
const mediaTypes = [eventType, batchType, 'application/json']

interface Intake {
  readonly events: readonly unknown[]
  readonly isBatch: boolean
  readonly waitMs: number
}

/** The results of the events of a request. */
interface Taken {
  readonly results: readonly IntakeResult[]
  readonly positions: ReadonlyMap<IntakeResult, Position>
  readonly scores: ReadonlyMap<IntakeResult, FoundScore>
}

export function eventRoutes(deps: ServeDependencies): Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/events',
      access: 'key',
      timeoutMs: deps.limits.requestTimeoutMs + deps.limits.waitMsMax,
      handle: (c) => takeEvents(c, deps),
      description: takeEventsDescription(deps),
    },
  ]
}

async function takeEvents(c: ServeContext, deps: ServeDependencies): Promise<Response> {
  const intake = await readIntake(c, deps)
  const judged = admitEvents(intake.events, deps.catalog, deps.clock.nowMs())
  const results = await findRepeats(judged, deps)
  const traceparent = validTraceparent(c.req.header(traceHeader))
  const taken = await publishAndWait(results, { traceparent, waitMs: intake.waitMs }, deps, c.req.raw.signal)
  return intake.isBatch ? answerBatch(c, taken, deps) : answerSingle(c, taken, deps)
}

async function readIntake(c: ServeContext, deps: ServeDependencies): Promise<Intake> {
  const { bodyBytesMax, batchEventsMax, waitMsMax } = deps.limits
  const mediaType = requireMediaType(c, mediaTypes)
  if (c.req.header(historyHeader) !== undefined) throw invalid(historyHeader, 'history comes through the log')
  const waitMs = parseWaitMs(c.req.query('wait'), c.req.header('prefer'), waitMsMax)
  const bytes = await readBody(c, bodyBytesMax)
  if (isBinaryMode(c.req.header(), httpBinding)) return { events: [fromHeaders(c, bytes)], isBatch: false, waitMs }
  const json = parseJson(bytes)
  const isBatch = Array.isArray(json)
  if (mediaType !== 'application/json' && isBatch !== (mediaType === batchType)) {
    throw new RiverbankError('invalid_envelope', `${mediaType} is ${isBatch ? 'one event' : 'an array of events'}`)
  }
  const events: readonly unknown[] = isBatch ? json : [json]
  if (events.length === 0) throw new RiverbankError('empty_batch', 'send at least one event')
  if (events.length > batchEventsMax) {
    throw new RiverbankError('batch_too_large', `${events.length} events, at most ${batchEventsMax} are accepted`)
  }
  if (!isBatch && bytes.length > eventLimits.maxBytes) {
    throw new RiverbankError('event_too_large', `${bytes.length} bytes, at most ${eventLimits.maxBytes} are accepted`)
  }
  return { events, isBatch, waitMs }
}

/** An event in binary mode. Errors: those of its envelope and its JSON. */
function fromHeaders(c: ServeContext, body: Uint8Array): unknown {
  const read = readBinaryEvent(c.req.header(), body, httpBinding)
  if (read.kind === 'invalid') throw new RiverbankError(read.code, read.detail)
  return read.json
}

async function publishAndWait(
  results: readonly IntakeResult[],
  { traceparent, waitMs }: { readonly traceparent: string | null; readonly waitMs: number },
  deps: ServeDependencies,
  disconnected: AbortSignal,
): Promise<Taken> {
  const waiting = new AbortController()
  const stop = () => waiting.abort()
  const limit = loopClock.after(waitMs, stop)
  disconnected.addEventListener('abort', stop, { once: true })
  try {
    const admitted = results.filter((result) => result.kind === 'admitted')
    // Waits begin before the write: a score may arrive before the log acknowledges the event.
    const waits = new Map(admitted.map((event) => [event, waitForScore(event, waitMs, deps, waiting.signal)]))
    const positions = await publishAll(admitted, traceparent, deps)
    const settled = await afterPublishing(results, positions, deps)
    const scores = new Map<IntakeResult, FoundScore>()
    await Promise.all(
      settled.map(async (result, index) => {
        if (result.kind === 'rejected') return
        const before = results[index]
        const known =
          before?.kind === 'admitted' ? waits.get(before) : scoreOfRepeat(result, waitMs, deps, waiting.signal)
        const score = (await known) ?? null
        if (score !== null) scores.set(result, score)
      }),
    )
    return { results: settled, positions, scores }
  } finally {
    limit.cancel()
    disconnected.removeEventListener('abort', stop)
    stop()
  }
}

async function publishAll(admitted: readonly AdmittedEvent[], traceparent: string | null, deps: ServeDependencies) {
  const positions = new Map<IntakeResult, Position>()
  if (admitted.length === 0) return positions
  const headers = traceparent === null ? structuredHeaders : { ...structuredHeaders, [traceHeader]: traceparent }
  const acknowledged = await deps.log.publish(
    admitted.map(({ aggregateId, value }) => ({
      topic: deps.eventsTopic,
      key: aggregateId,
      value,
      headers,
    })),
  )
  for (const [index, event] of admitted.entries()) {
    const position = acknowledged[index]
    assert(position !== undefined, 'the log acknowledges every record')
    positions.set(event, position)
  }
  return positions
}

function waitForScore(
  event: AdmittedEvent | RepeatedEvent,
  waitMs: number,
  deps: ServeDependencies,
  signal: AbortSignal,
): Promise<FoundScore | null> {
  if (waitMs === 0 || !deps.scoreForms.has(event.eventType)) return Promise.resolve(null)
  return deps.hub.waitFor(event, signal)
}

/** The score of the first event. Waits for it if it is pending, and if the lake cannot be read. */
async function scoreOfRepeat(
  event: AdmittedEvent | RepeatedEvent,
  waitMs: number,
  deps: ServeDependencies,
  signal: AbortSignal,
): Promise<FoundScore | null> {
  if (!deps.scoreForms.has(event.eventType)) return null
  try {
    const found = await findScore(event, deps)
    if (found.kind === 'found') return found.score
    if (found.kind === 'unscored') return null
  } catch (error) {
    if (!isRiverbankError(error) || !error.canRetry) throw error
    deps.logger.warn('the score of a repeat was not looked up', { error })
  }
  return waitForScore(event, waitMs, deps, signal)
}

/** 200 when the answer is complete, 202 when a score is still to come. */
function answerSingle(c: ServeContext, taken: Taken, deps: ServeDependencies): Response {
  const [result] = taken.results
  assert(result !== undefined, 'one event has one result')
  if (result.kind === 'rejected') {
    return problemResponse(c, result.code, result.detail, { extra: { eventId: result.eventId } })
  }
  const status = isComplete(result, taken, deps) ? 200 : 202
  const response = jsonResponse(c, status, { results: [describeResult(result, taken)] })
  if (status === 202 && deps.scoreForms.has(result.eventType)) markPending(response, result)
  return response
}

/** 200 when every event has its score, 202 all accepted, 207 some, 422 none. */
function answerBatch(c: ServeContext, taken: Taken, deps: ServeDependencies): Response {
  const { results } = taken
  const described = results.map((result) => describeResult(result, taken))
  const accepted = results.filter((result) => result.kind !== 'rejected')
  if (accepted.length === 0) {
    const detail = 'no event of the batch was accepted; results has the reasons'
    return problemResponse(c, 'batch_rejected', detail, { extra: { results: described } })
  }
  if (accepted.length < results.length) return jsonResponse(c, 207, { results: described })
  const isAll = accepted.every((result) => isComplete(result, taken, deps))
  return jsonResponse(c, isAll ? 200 : 202, { results: described })
}

function isComplete(result: AdmittedEvent | RepeatedEvent, { scores }: Taken, deps: ServeDependencies): boolean {
  return scores.has(result) || (result.kind === 'repeated' && !deps.scoreForms.has(result.eventType))
}

function describeResult(result: IntakeResult, { positions, scores }: Taken): EventResult {
  if (result.kind === 'rejected') {
    return { eventId: result.eventId, status: 'rejected', problem: describeProblem(result.code, result.detail) }
  }
  const score = scores.get(result)
  const place = result.kind === 'admitted' ? positions.get(result) : placeOf(result.first, positions)
  return {
    eventId: result.eventId,
    status: 'accepted',
    ...(place === undefined ? {} : { partition: place.partition, offset: place.offset }),
    ...(result.kind === 'repeated' ? { repeated: true } : {}),
    ...(score === undefined ? {} : { score: score.data }),
  }
}

function placeOf(first: RepeatedEvent['first'], positions: Taken['positions']): Position | undefined {
  return 'offset' in first ? first : positions.get(first)
}

function takeEventsDescription(deps: ServeDependencies): Route['description'] {
  const { batchEventsMax, bodyBytesMax, waitMsMax } = deps.limits
  const { cloudEvent, domainEvent, data, all } = eventSchemas(deps.catalog)
  const batch = named('CloudEvents', z.array(cloudEvent).min(1).max(batchEventsMax))
  const either = z.union([domainEvent, cloudEvent])
  const json = named('Events', z.union([either, z.array(either).min(1).max(batchEventsMax), data]))
  const { eventResult } = scoreSchemas(deps.scoreForms)
  const results = { 'application/json': named('EventResults', z.object({ results: z.array(eventResult) })) }
  return {
    operationId: 'takeEvents',
    summary: 'Take one event, or a batch',
    detail:
      `One event of at most ${eventLimits.maxBytes} bytes, or an array of at most ${batchEventsMax} events and ` +
      `${bodyBytesMax} bytes, in any mode of CloudEvents or spelled as DomainEvent. In binary mode (ce- headers) the body ` +
      'is the data alone. Accepted is what the log has acknowledged; nothing rejected is in the log. After 503 or ' +
      '504 send the same again. An event is identified by its aggregate and its id, for 24 hours (131,072 events of one ' +
      'aggregate at most): a repeat with the same content (type, time and data) is answered as the first one was, with its ' +
      'score where there is one (200), else 202 and Location; ' +
      'one with other content is refused (409 event_conflict). 202 of an event that gets a score says where it will be.',
    tag: 'events',
    parameters: [
      {
        name: 'wait',
        in: 'query',
        description: `milliseconds, at most ${waitMsMax}, to wait for the scores of the events sent`,
        schema: z.number().int().min(0).max(waitMsMax).optional(),
      },
      {
        name: 'prefer',
        in: 'header',
        description: 'RFC 7240, such as wait=2 (seconds)',
        schema: z.string().optional(),
      },
      { name: traceHeader, in: 'header', description: 'W3C trace context, passed on', schema: z.string().optional() },
    ],
    schemas: all,
    body: { [eventType]: cloudEvent, [batchType]: batch, 'application/json': json },
    answers: {
      200: { description: 'Accepted, and the scores that were waited for', content: results },
      202: { description: 'Accepted', content: results },
      207: { description: 'Some events of the batch were accepted, some rejected', content: results },
    },
    problems: [
      ...eventErrorCodes.filter((code) => code !== 'duplicate_event'),
      'event_conflict',
      'unavailable',
      'empty_batch',
      'batch_too_large',
      'batch_rejected',
      'invalid_parameter',
      'log_unavailable',
      'log_full',
    ],
    example: `curl -s '$base/v1/events?wait=2000' -H 'content-type: application/json' -d '${exampleOf(deps)}'`,
  }
}

/** A scored event whose time is that of the shell that sends it. */
function exampleOf({ catalog, scoreForms }: ServeDependencies): string {
  const [scored] = [...scoreForms.keys()].map((type) => catalog.get(type))
  const [example] = scored?.examples ?? []
  const data = isRecord(example) ? example : {}
  const now = "'$(date -u +%FT%TZ)'"
  const event = {
    ...{ eventId: 'e-1', eventType: scored?.type, timestamp: '@', aggregateId: data[scored?.aggregateField ?? ''] },
    ...{ aggregateType: scored?.aggregateType, version: scored?.currentVersion, data },
  }
  return JSON.stringify(event).replace('"@"', `"${now}"`)
}
