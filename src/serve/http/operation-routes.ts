import { z } from 'zod'
import { loopClock } from '../../clock/loop-clock.ts'
import type { ReadinessProbe, ServeDependencies } from './dependencies.ts'
import { problemResponse } from './problem.ts'
import { jsonResponse, textResponse, type Route, type ServeContext } from './route.ts'
import { named } from './schemas.ts'

/**
 * The routes that operators and their machines call. Liveness and readiness are open, because orchestrators have no
 * key; metrics need it, because they show the volume of the business.
 */
export function operationRoutes(deps: ServeDependencies): Route[] {
  const common = { method: 'GET', timeoutMs: deps.limits.requestTimeoutMs } as const
  return [
    {
      ...common,
      path: '/livez',
      access: 'open',
      handle: (c) => jsonResponse(c, 200, { status: 'live' }),
      description: {
        operationId: 'isLive',
        summary: 'Is the process alive?',
        tag: 'operation',
        answers: { 200: { description: 'It is', content: { 'application/json': liveSchema } } },
        problems: [],
        example: "curl -s '$base/livez'",
      },
    },
    {
      ...common,
      path: '/readyz',
      access: 'open',
      handle: (c) => readiness(c, deps),
      description: {
        operationId: 'isReady',
        summary: 'Is everything there that requests need?',
        tag: 'operation',
        answers: { 200: { description: 'It is', content: { 'application/json': readySchema } } },
        problems: ['not_ready'],
        example: "curl -s '$base/readyz'",
      },
    },
    {
      ...common,
      path: '/metrics',
      access: 'key',
      handle: async (c) => {
        const { contentType, body } = await deps.meter.expose()
        return textResponse(c, 200, contentType, body)
      },
      description: {
        operationId: 'readMetrics',
        summary: 'Metrics in the Prometheus text format',
        tag: 'operation',
        answers: { 200: { description: 'The metrics', content: { 'text/plain': null } } },
        problems: [],
        example: "curl -s '$base/metrics'",
      },
    },
  ]
}

const liveSchema = named('Liveness', z.object({ status: z.literal('live') }))
/** `degraded`: this role answers requests, but something beside it is not well; the checks name it. */
const readySchema = named(
  'Readiness',
  z.object({ status: z.enum(['ready', 'degraded']), checks: z.record(z.string(), z.string()) }),
)

async function readiness(c: ServeContext, deps: ServeDependencies): Promise<Response> {
  const results = await Promise.all(deps.probes.map((probe) => ask(probe, deps.limits.probeTimeoutMs)))
  const checks = Object.fromEntries(deps.probes.map((probe, index) => [probe.name, results[index] ?? 'ok']))
  const reasons = deps.probes.flatMap((probe, index) => {
    const reason = results[index] ?? null
    return reason === null || probe.isAdvisory === true ? [] : [`${probe.name}: ${reason}`]
  })
  const isWell = results.every((reason) => reason === null)
  if (reasons.length === 0) return jsonResponse(c, 200, { status: isWell ? 'ready' : 'degraded', checks })
  return problemResponse(c, 'not_ready', reasons.join('; '), { extra: { reasons, checks } })
}

/** A probe that throws or does not answer is a reason not to be ready, too. */
async function ask(probe: ReadinessProbe, timeoutMs: number): Promise<string | null> {
  try {
    const checking = probe.check()
    return (await loopClock.within(timeoutMs, checking)) ? await checking : `no answer within ${timeoutMs} ms`
  } catch (error) {
    return error instanceof Error ? error.message : 'failed'
  }
}
