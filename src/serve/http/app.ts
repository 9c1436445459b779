import { Hono } from 'hono'
import { TrieRouter } from 'hono/router/trie-router'
import { randomUUID } from 'node:crypto'
import { loopClock } from '../../clock/loop-clock.ts'
import type { ServeDependencies } from './dependencies.ts'
import { descriptionRoutes } from './description-routes.ts'
import { eventRoutes } from '../events/event-routes.ts'
import { explanationRoutes } from '../scores/explanation-routes.ts'
import { createFeatureCatalog } from '../features/feature-catalog.ts'
import { featureRoutes } from '../features/feature-routes.ts'
import { createGuard, type Guard } from './guard.ts'
import { modelRoutes } from '../models/model-routes.ts'
import { onlineFeatureRoutes } from '../features/online-feature-routes.ts'
import { operationRoutes } from './operation-routes.ts'
import { problemOf, problemResponse } from './problem.ts'
import { requestMetrics, type RequestMetrics } from './request-metrics.ts'
import type { Route, ServeContext, ServeEnv } from './route.ts'
import { scoreRoutes } from '../scores/score-routes.ts'
import { sqlRoutes } from '../sql/sql-routes.ts'
import { streamRoutes } from '../scores/stream-routes.ts'

/**
 * The HTTP API as a Hono app: tests call `app.request()`, `listen` serves it. Every request gets an id, a time limit,
 * metrics and an answer: an error that a handler throws becomes a problem.
 */
export function createApp(deps: ServeDependencies): Hono<ServeEnv> {
  const app = new Hono<ServeEnv>()
  const metrics = requestMetrics(deps.meter)
  const guard = createGuard(deps.apiKey)
  const routes = allRoutes(deps)
  for (const route of routes) app.on(route.method, route.path, (c) => serve(c, route, { deps, metrics, guard }))
  const paths = pathRouter(routes)
  app.notFound((c) => {
    const found = paths.match('ALL', c.req.path)[0][0]?.[0]
    if (found === undefined) return refuse(c, metrics, 'unmatched', 'not_found', {})
    return refuse(c, metrics, found.path, 'method_not_allowed', { allow: found.methods.join(', ') })
  })
  app.onError((error, c) => fail(c, error, deps))
  return app
}

function allRoutes(deps: ServeDependencies): Route[] {
  const catalog = createFeatureCatalog(deps.featureSet, deps.catalog)
  const routes = [
    ...eventRoutes(deps),
    ...featureRoutes(deps, catalog),
    ...onlineFeatureRoutes(deps, catalog),
    ...streamRoutes(deps),
    ...scoreRoutes(deps),
    ...explanationRoutes(deps),
    ...sqlRoutes(deps),
    ...modelRoutes(deps),
    ...operationRoutes(deps),
  ]
  return [...routes, ...descriptionRoutes(deps, routes)]
}

interface Serving {
  readonly deps: ServeDependencies
  readonly metrics: RequestMetrics
  readonly guard: Guard
}

function serve(c: ServeContext, route: Route, serving: Serving): Promise<Response> | Response {
  const done = serving.metrics.begin(route.path, c.req.method)
  c.set('requestId', requestIdOf(c))
  const counted = (response: Response): Response => {
    done(response.status)
    return response
  }
  const failed = (error: unknown): Response => counted(fail(c, error, serving.deps))
  let response: Promise<Response> | Response
  try {
    response = answer(c, route, serving)
  } catch (error) {
    return failed(error)
  }
  return response instanceof Promise ? response.then(counted, failed) : counted(response)
}

function answer(c: ServeContext, route: Route, { deps, metrics, guard }: Serving): Promise<Response> | Response {
  const verdict = guard(c, route.access)
  if (verdict.kind === 'refused') {
    const headers = verdict.code === 'unauthorized' ? { 'www-authenticate': 'Bearer realm="riverbank"' } : {}
    return problemResponse(c, verdict.code, verdict.detail, { headers })
  }
  // The router would take a broken encoding for the text itself, and so for the path of another id.
  if (!isDecodable(c.req.url)) return problemResponse(c, 'bad_request', 'the path is not percent-encoded UTF-8')
  const unknown = unknownParameter(c, route)
  if (unknown !== null) return problemResponse(c, 'invalid_parameter', `${unknown}: this route has no such parameter`)
  if (route.timeoutMs === null) return route.handle(c)
  const limit = deps.limits.inFlightMax
  if (route.description.tag !== 'operation' && metrics.inFlight() > limit) {
    return problemResponse(c, 'overloaded', `more than ${limit} requests at the same time`)
  }
  const response = route.handle(c)
  return response instanceof Promise ? withDeadline(c, response, route.timeoutMs, deps) : response
}

function isDecodable(url: string): boolean {
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  if (!path.includes('%')) return true
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

/** A query parameter that the route does not have: a misspelled filter would filter nothing. */
function unknownParameter(c: ServeContext, { description: { parameters = [], problems } }: Route): string | null {
  if (!c.req.url.includes('?') || !problems.includes('invalid_parameter')) return null
  const isKnown = (name: string) => parameters.some((one) => one.in === 'query' && one.name === name)
  return Object.keys(c.req.query()).find((name) => !isKnown(name)) ?? null
}

/** Answers 504 after the time limit. The handler goes on; its answer comes too late for this client. */
function withDeadline(
  c: ServeContext,
  response: Promise<Response>,
  timeoutMs: number,
  deps: ServeDependencies,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    let late = false
    const limit = loopClock.after(timeoutMs, () => {
      late = true
      const detail = `no answer within ${timeoutMs} ms; what was sent may have had its effect`
      resolve(problemResponse(c, 'request_timeout', detail))
    })
    response.then(
      (value) => {
        limit.cancel()
        resolve(value)
      },
      (error: unknown) => {
        limit.cancel()
        if (late) deps.logger.warn('request failed after its time', { requestId: c.get('requestId'), error })
        else reject(error instanceof Error ? error : new Error('thrown value', { cause: error }))
      },
    )
  })
}

function fail(c: ServeContext, error: unknown, deps: ServeDependencies): Response {
  const { code, detail } = problemOf(error)
  const fields = { requestId: c.get('requestId'), path: c.req.path, code, error }
  if (code === 'internal_error') deps.logger.error('request failed', fields)
  else deps.logger.debug('request refused', fields)
  return problemResponse(c, code, detail)
}

function refuse(
  c: ServeContext,
  metrics: RequestMetrics,
  path: string,
  code: 'not_found' | 'method_not_allowed',
  headers: Readonly<Record<string, string>>,
): Response {
  const done = metrics.begin(path, c.req.method)
  c.set('requestId', requestIdOf(c))
  const response = problemResponse(c, code, `${c.req.method} ${c.req.path}; GET / names every route`, { headers })
  done(response.status)
  return response
}

/** The caller's own id if it is harmless: it joins the caller's traces with ours. */
function requestIdOf(c: ServeContext): string {
  const given = c.req.header('x-request-id')
  return given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID()
}

/** Finds the methods of a path. Not in the app's own router, where the hot path would match a second handler. */
function pathRouter(routes: readonly Route[]) {
  const router = new TrieRouter<{ readonly path: string; readonly methods: string[] }>()
  const byPath = new Map<string, string[]>()
  for (const { path, method } of routes) {
    const known = byPath.get(path)
    const methods = known ?? []
    methods.push(...(method === 'GET' ? ['GET', 'HEAD'] : [method]))
    if (known === undefined) router.add('ALL', path, { path, methods })
    byPath.set(path, methods)
  }
  return router
}
