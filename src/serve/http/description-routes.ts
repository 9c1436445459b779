import { z } from 'zod'
import type { ServeDependencies } from './dependencies.ts'
import { describeApi } from './openapi.ts'
import { jsonResponse, textResponse, type Route, type ServeContext } from './route.ts'
import { named } from './schemas.ts'

/** The index and the API description; both open, for they contain nothing that the source does not. */
export function descriptionRoutes(deps: ServeDependencies, others: readonly Route[]): Route[] {
  const index: Route = {
    method: 'GET',
    path: '/',
    access: 'open',
    timeoutMs: deps.limits.requestTimeoutMs,
    handle: (c) => answerIndex(c, [...others, ...described], deps),
    description: {
      operationId: 'readIndex',
      summary: 'This index',
      tag: 'operation',
      answers: { 200: { description: 'Every route, with a command to try it', content: { 'text/plain': null } } },
      problems: [],
      example: "curl -s '$base/'",
    },
  }
  const described: readonly Route[] = [openApiRoute(deps, () => [index, ...others, ...described]), index]
  return [...described]
}

function openApiRoute(deps: ServeDependencies, routes: () => readonly Route[]): Route {
  let document: string | null = null
  return {
    method: 'GET',
    path: '/openapi.json',
    access: 'open',
    timeoutMs: deps.limits.requestTimeoutMs,
    handle: (c) => {
      document ??= JSON.stringify(describeApi(routes(), deps))
      return textResponse(c, 200, 'application/json', document)
    },
    description: {
      operationId: 'readApiDescription',
      summary: 'OpenAPI 3.1',
      tag: 'operation',
      answers: {
        200: { description: 'This API', content: { 'application/json': apiDescription } },
      },
      problems: [],
      example: "curl -s '$base/openapi.json'",
    },
  }
}

const apiDescription = named('ApiDescription', z.record(z.string(), z.unknown()))

function answerIndex(c: ServeContext, routes: readonly Route[], deps: ServeDependencies): Response {
  const base = new URL(c.req.url).origin
  const entries = routes.map(({ method, path, description }) => ({
    method,
    path,
    summary: description.summary,
    example: (description.example ?? '').replaceAll('$base', base),
  }))
  if ((c.req.header('accept') ?? '').includes('application/json')) {
    return jsonResponse(c, 200, { name: 'riverbank', version: deps.version, routes: entries })
  }
  const lines = entries.map(({ method, path, summary, example }) => `${method} ${path}\n  ${summary}\n  ${example}\n`)
  const key = deps.apiKey === null ? '' : "Every call needs -H 'authorization: Bearer <key>'.\n\n"
  return textResponse(c, 200, 'text/plain; charset=utf-8', `Riverbank ${deps.version}\n\n${key}${lines.join('\n')}`)
}
