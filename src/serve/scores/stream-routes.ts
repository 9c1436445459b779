import { z } from 'zod'
import type { HttpBindings } from '@hono/node-server'
import { decisions, type Decision } from '../../scoring/output-events.ts'
import { idSchema } from '../../events/envelope.ts'
import { RiverbankError } from '../../base/errors.ts'
import type { ServeDependencies } from '../http/dependencies.ts'
import { invalid, listParameter, parseList } from '../http/parameters.ts'
import { PartitionCursor } from './partition-cursor.ts'
import type { Route, ServeContext } from '../http/route.ts'
import { newlineDelimitedJson, serverSentEvents, type FrameFormat } from './score-frames.ts'
import type { ScoreSubscription } from './score-hub.ts'
import type { ScoreFilter } from './score-subscriber.ts'
import { named, scoreSchemas } from '../http/schemas.ts'

const aggregatesMax = 100

/** The stream of scores: server-sent events, or one JSON object per line. */
export function streamRoutes(deps: ServeDependencies): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/score-stream',
      access: 'key',
      timeoutMs: null,
      handle: (c) => streamScores(c, deps),
      description: streamDescription(deps),
    },
  ]
}

/** A stream from here on, or from a place. Errors: `invalid_parameter`, `too_many_subscribers`, those of the log. */
export async function streamScores(c: ServeContext, deps: ServeDependencies): Promise<Response> {
  const format = chooseFormat(c.req.header('accept'))
  const filter = readFilter(c, keyEntityOf(deps))
  const from = readCursor(c)
  const headers = {
    'content-type': format.contentType,
    'cache-control': 'no-store',
    // A proxy that buffers would hold every event back.
    'x-accel-buffering': 'no',
    'x-request-id': c.get('requestId'),
  }
  // HEAD gets the same headers, and must not take a place that it would never free.
  if (c.req.method === 'HEAD') return new Response(null, { headers })
  const beyond = from === null ? undefined : await beyondEnd(from, deps)
  const subscription = deps.hub.subscribe(filter, from, format, () => cutOff(c.env), beyond)
  if (subscription === null) throw new RiverbankError('too_many_subscribers', 'try again later')
  return new Response(streamOf(subscription), { headers })
}

/**
 * The partitions in which a place lies beyond the log's end: the client has it from a log that is gone. Another process
 * may be ahead of this one, so the log decides; it is asked only about places that this process's tail has not reached.
 */
async function beyondEnd(from: PartitionCursor, deps: ServeDependencies): Promise<ReadonlyMap<number, number | null>> {
  const beyond = new Map<number, number | null>()
  const unheardOf = deps.hub.unheardOf(from)
  if (unheardOf.length === 0) return beyond
  const ranges = await deps.log.describeTopic(deps.scoresTopic)
  const ends = new Map(ranges?.map(({ partition, end }) => [partition, end]))
  for (const partition of unheardOf) {
    const end = ends.get(partition) ?? null
    if (end === null || (from.next(partition) ?? 0) > end) beyond.set(partition, end)
  }
  return beyond
}

/** The client pulls: the stream reads the next text from the hub only once the earlier bytes are on their way. */
function streamOf(subscription: ScoreSubscription): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const text = await subscription.read()
        if (text !== null) {
          controller.enqueue(encoder.encode(text))
          return
        }
        subscription.close()
        controller.close()
      },
      cancel() {
        subscription.close()
      },
    },
    { highWaterMark: 0 },
  )
}

/** Closes the connection; a call inside the process has none. */
function cutOff(env: Partial<HttpBindings> | undefined): void {
  if (env?.outgoing?.writableFinished === false) env.outgoing.destroy()
}

/** Whether a client asks for a stream by name. */
export function isStreamRequest(c: ServeContext): boolean {
  const types = (c.req.header('accept') ?? '').toLowerCase()
  return types.includes('text/event-stream') || types.includes('application/x-ndjson')
}

function chooseFormat(accept: string | undefined): FrameFormat {
  const types = (accept ?? '*/*').toLowerCase()
  const [lines, events] = [types.indexOf('application/x-ndjson'), types.indexOf('text/event-stream')]
  return lines >= 0 && (events < 0 || lines < events) ? newlineDelimitedJson : serverSentEvents
}

/** The name of the entity whose id is the key of the log, such as `account`. */
function keyEntityOf({ featureSet }: ServeDependencies): string {
  return featureSet.entities.find(({ partitionKey }) => partitionKey)?.name ?? ''
}

function readFilter(c: ServeContext, keyEntity: string): ScoreFilter {
  const wanted = parseList('decision', c.req.query('decision'), decisions.length)
  const listed = parseList(keyEntity, c.req.query(keyEntity), aggregatesMax)
  const whole = c.req.queries('aggregateId') ?? []
  if (whole.length > aggregatesMax) throw invalid('aggregateId', `at most ${aggregatesMax} are accepted`)
  const aggregateIds = listed === null && whole.length === 0 ? null : [...(listed ?? []), ...whole]
  const known = wanted?.filter((decision): decision is Decision => decisions.some((each) => each === decision))
  if (known?.length !== wanted?.length) throw invalid('decision', `write ${decisions.join(', ')}`)
  return {
    decisions: known === undefined ? null : new Set(known),
    aggregateIds: aggregateIds === null ? null : new Set(aggregateIds),
  }
}

function readCursor(c: ServeContext): PartitionCursor | null {
  const id = c.req.header('last-event-id') ?? c.req.query('lastEventId')
  if (id === undefined || id === '') return null
  const cursor = PartitionCursor.parse(id)
  if (cursor === null) throw invalid('Last-Event-ID', 'send an id of this stream, as it was')
  return cursor
}

function scoreLineOf({ scoreForms }: ServeDependencies) {
  const data = z.object({ data: scoreSchemas(scoreForms).score })
  return named('ScoreLine', z.object({ event: z.literal('score'), id: z.string(), data }))
}

const streamDescription = (deps: ServeDependencies): Route['description'] => ({
  operationId: 'streamScores',
  summary: 'Follow the decisions as they are made',
  detail:
    'Server-sent events (or, with Accept: application/x-ndjson, lines of {event, id, data}): `score` with the ' +
    'CloudEvent; `gap` when Last-Event-ID is older than what is held in memory (firstOffsets: the oldest that is), or ' +
    'lies beyond the end of a log that was created anew (beyondEnd: its end, null for a partition that is not there), ' +
    'before what follows; `overflow` as the last event of a client that was too slow, whose connection then ends, ' +
    'unless it takes nothing for 30 seconds more: then the connection is closed wherever it is. ' +
    'The id is the next offset of every partition. Without an id the stream begins now. At least once: after a reconnect a score may come again, with the same CloudEvents id.',
  tag: 'scores',
  parameters: [
    {
      name: 'decision',
      in: 'query',
      description: `only these, separated by commas: ${decisions.join(', ')}`,
      schema: listParameter(`(${decisions.join('|')})`).optional(),
    },
    {
      name: keyEntityOf(deps),
      in: 'query',
      description: `only those of these ids of the ${keyEntityOf(deps)}, separated by commas, at most ${aggregatesMax}`,
      schema: z.string().optional(),
    },
    {
      name: 'aggregateId',
      in: 'query',
      description: 'the same, one in each parameter of this name: for an id with a comma',
      schema: idSchema.optional(),
    },
    { name: 'last-event-id', in: 'header', description: 'go on after this event', schema: z.string().optional() },
    {
      name: 'lastEventId',
      in: 'query',
      description: 'the same, for clients that cannot set the header',
      schema: z.string().optional(),
    },
  ],
  answers: {
    200: {
      description: 'The stream; it ends when the service stops',
      content: { 'text/event-stream': null, 'application/x-ndjson': scoreLineOf(deps) },
    },
  },
  problems: ['invalid_parameter', 'too_many_subscribers', 'log_unavailable'],
  example: "curl -sN '$base/v1/score-stream?decision=review,block'",
})
