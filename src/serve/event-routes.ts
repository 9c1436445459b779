import { z } from 'zod'
import { loopClock } from '../clock/loop-clock.ts'
import type { PaymentScored } from '../core/emitted.ts'
import { traceHeader, validTraceparent } from '../core/trace.ts'
import { eventLimits } from '../core/envelope.ts'
import { httpBinding, isBinaryMode, readBinaryEvent } from '../core/binary-event.ts'
import { historyHeader } from '../core/event-time.ts'
import { eventErrorCodes, structuredHeaders } from '../core/event.ts'
import { assert, RiverbankError } from '../core/errors.ts'
import type { Position } from '../ports.ts'
import { parseJson, readBody, requireMediaType } from './body.ts'
import type { ServeDependencies } from './dependencies.ts'
import { admitEvents, rejectKnown, type AdmittedEvent, type IntakeResult } from './event-intake.ts'
import { invalid, parseWaitMs } from './parameters.ts'
import { describeProblem, problemResponse } from './problem.ts'
import { jsonResponse, type Route, type ServeContext } from './route.ts'
import { eventSchemas } from './event-schemas.ts'
import { eventResultSchema, named, type EventResult } from './schemas.ts'

const batchType = 'application/cloudevents-batch+json'
const eventType = 'application/cloudevents+json'
const mediaTypes = [eventType, batchType, 'application/json']

interface Intake {
  readonly events: readonly unknown[]
  readonly isBatch: boolean
  readonly waitMs: number
}

interface Published {
  readonly positions: ReadonlyMap<IntakeResult, Position>
  readonly scores: ReadonlyMap<IntakeResult, PaymentScored>
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
  const results = await withoutKnown(judged, deps)
  const admitted = results.filter((result) => result.kind === 'admitted')
  const traceparent = validTraceparent(c.req.header(traceHeader))
  const published = await publishAndWait(admitted, traceparent, intake.waitMs, deps, c.req.raw.signal)
  if (!intake.isBatch) return answerSingle(c, results, published)
  return answerBatch(c, results, published)
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

/** Best effort: when the states cannot be asked, the processor finds the duplicates. */
async function withoutKnown(results: IntakeResult[], deps: ServeDependencies): Promise<IntakeResult[]> {
  const admitted = results.filter((result) => result.kind === 'admitted')
  if (admitted.length === 0) return results
  try {
    const answers = await deps.knownEvents.known(admitted)
    const known = new Set<IntakeResult>(admitted.filter((_, index) => answers[index] === true))
    return known.size === 0 ? results : rejectKnown(results, known)
  } catch (error) {
    deps.logger.warn('duplicates not looked up', { error })
    return results
  }
}

async function publishAndWait(
  admitted: readonly AdmittedEvent[],
  traceparent: string | null,
  waitMs: number,
  deps: ServeDependencies,
  disconnected: AbortSignal,
): Promise<Published> {
  const positions = new Map<IntakeResult, Position>()
  const scores = new Map<IntakeResult, PaymentScored>()
  if (admitted.length === 0) return { positions, scores }
  const waiting = new AbortController()
  const stop = () => waiting.abort()
  const limit = loopClock.after(waitMs, stop)
  disconnected.addEventListener('abort', stop, { once: true })
  try {
    // The waits come first: a score may be there before the answer of the log.
    const waits = waitMs === 0 ? [] : admitted.map((event) => waitForScore(event, deps, waiting.signal))
    const headers = traceparent === null ? structuredHeaders : { ...structuredHeaders, [traceHeader]: traceparent }
    const acknowledged = await deps.log.publish(
      admitted.map(({ customerId, value }) => ({
        topic: deps.eventsTopic,
        key: customerId,
        value,
        headers,
      })),
    )
    const decided = await Promise.all(waits)
    for (const [index, event] of admitted.entries()) {
      const position = acknowledged[index]
      assert(position !== undefined, 'the log acknowledges every record')
      positions.set(event, position)
      const score = decided[index] ?? null
      if (score !== null) scores.set(event, score)
    }
    return { positions, scores }
  } finally {
    limit.cancel()
    disconnected.removeEventListener('abort', stop)
    stop()
  }
}

function waitForScore(event: AdmittedEvent, deps: ServeDependencies, signal: AbortSignal) {
  if (!deps.scoredTypes.has(event.eventType)) return Promise.resolve(null)
  return deps.hub.waitFor(event.eventId, event.customerId, signal)
}

function answerSingle(c: ServeContext, results: readonly IntakeResult[], published: Published): Response {
  const [result] = results
  assert(result !== undefined, 'one event has one result')
  if (result.kind === 'rejected') {
    return problemResponse(c, result.code, result.detail, { extra: { eventId: result.eventId } })
  }
  return jsonResponse(c, published.scores.size > 0 ? 200 : 202, { results: [describeResult(result, published)] })
}

/** 200 when every event has its score, 202 all accepted, 207 some, 422 none. */
function answerBatch(c: ServeContext, results: readonly IntakeResult[], published: Published): Response {
  const described = results.map((result) => describeResult(result, published))
  if (published.positions.size === 0) {
    const detail = 'no event of the batch was accepted; results has the reasons'
    return problemResponse(c, 'batch_rejected', detail, { extra: { results: described } })
  }
  if (published.positions.size < results.length) return jsonResponse(c, 207, { results: described })
  return jsonResponse(c, published.scores.size === results.length ? 200 : 202, { results: described })
}

function describeResult(result: IntakeResult, published: Published): EventResult {
  if (result.kind === 'rejected') {
    return { eventId: result.eventId, status: 'rejected', problem: describeProblem(result.code, result.detail) }
  }
  const position = published.positions.get(result)
  assert(position !== undefined, 'what was admitted is in the log')
  const score = published.scores.get(result)
  return { eventId: result.eventId, status: 'accepted', ...position, ...(score === undefined ? {} : { score }) }
}

const resultsSchema = named('EventResults', z.object({ results: z.array(eventResultSchema) }))

function takeEventsDescription(deps: ServeDependencies): Route['description'] {
  const { batchEventsMax, bodyBytesMax, waitMsMax } = deps.limits
  const { cloudEvent, domainEvent, data, all } = eventSchemas(deps.catalog)
  const batch = named('CloudEvents', z.array(cloudEvent).min(1).max(batchEventsMax))
  const either = z.union([domainEvent, cloudEvent])
  const json = named('Events', z.union([either, z.array(either).min(1).max(batchEventsMax), data]))
  const results = { 'application/json': resultsSchema }
  return {
    operationId: 'takeEvents',
    summary: 'Take one event, or a batch',
    detail:
      `One event of at most ${eventLimits.maxBytes} bytes, or an array of at most ${batchEventsMax} events and ` +
      `${bodyBytesMax} bytes, in any mode of CloudEvents or spelled as DomainEvent. In binary mode (ce- headers) the body ` +
      'is the data alone. Accepted is what the log has acknowledged; nothing rejected is in the log. After 503 or ' +
      '504 send the same again: duplicates count once, and 409 duplicate_event then says that it had arrived.',
    tag: 'events',
    parameters: [
      {
        name: 'wait',
        in: 'query',
        description: `milliseconds, at most ${waitMsMax}, to wait for the scores of the payments sent`,
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
      ...eventErrorCodes,
      'empty_batch',
      'batch_too_large',
      'batch_rejected',
      'invalid_parameter',
      'log_unavailable',
      'log_full',
    ],
    example:
      "curl -s '$base/v1/events?wait=2000' -H 'content-type: application/json' -d '{" +
      '"eventId":"p-1","eventType":"payment.initiated","timestamp":"\'$(date -u +%FT%TZ)\'","aggregateId":"c-1",' +
      '"aggregateType":"customer","version":2,"data":{"customerId":"c-1","terminalId":"t-1","amountMinor":1250,' +
      '"currency":"EUR"}}\'',
  }
}
