import { z } from 'zod'
import { schemaOf } from '../core/event.ts'
import type { ServeDependencies } from './dependencies.ts'
import { describeProblem, problemCodes, type ProblemCode } from './problem.ts'
import type { ParameterDescription, Route } from './route.ts'
import { problemSchema } from './schemas.ts'

type Json = Readonly<Record<string, unknown>>

/** Problems that any route may answer. */
const commonProblems: readonly ProblemCode[] = [
  'request_timeout',
  'overloaded',
  'internal_error',
  'foreign_origin',
  'bad_request',
]
const bodyProblems: readonly ProblemCode[] = [
  'unsupported_media_type',
  'body_too_large',
  'body_unreadable',
  'undecodable_bytes',
  'invalid_json',
]

/**
 * The OpenAPI 3.1 document of these routes: the same zod schemas that read the requests, and the one table of
 * problems. The data of every event type and version is a component, named by its URN's tail.
 */
export function describeApi(routes: readonly Route[], deps: ServeDependencies): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: describeOperation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Riverbank',
      version: deps.version,
      description: 'Real-time features and fraud decisions on an event stream.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    servers: [{ url: '/' }],
    tags: ['events', 'features', 'scores', 'sql', 'models', 'operation'].map((name) => ({ name })),
    paths,
    components: {
      schemas: { Problem: jsonSchema(problemSchema, 'output'), ...eventDataSchemas(deps) },
      securitySchemes: {
        apiKey: { type: 'http', scheme: 'bearer', description: 'needed when the service is run with an API key' },
      },
    },
    'x-problems': Object.fromEntries(problemCodes.map((code) => [code, describeProblem(code, '')])),
  }
}

function describeOperation({ access, description, method }: Route): Json {
  const { operationId, summary, detail, tag, parameters = [], body, answers } = description
  const problems = [
    ...description.problems,
    ...commonProblems,
    ...(method === 'POST' ? bodyProblems : []),
    ...(access === 'key' ? (['unauthorized'] as const) : []),
  ]
  return {
    operationId,
    summary,
    ...(detail === undefined ? {} : { description: detail }),
    tags: [tag],
    // Both: without a configured key the calls from loopback need none.
    security: access === 'key' ? [{ apiKey: [] }, {}] : [{}],
    ...(parameters.length === 0 ? {} : { parameters: parameters.map(describeParameter) }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: describeContent(body, 'input') } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [
          status,
          { description: answer.description, content: describeContent(answer.content, 'output') },
        ]),
      ),
      ...describeProblems(problems),
    },
  }
}

function describeParameter({ name, in: place, description, schema }: ParameterDescription): Json {
  const required = place === 'path' || !schema.safeParse(undefined).success
  return { name, in: place, required, description, schema: jsonSchema(schema, 'input') }
}

function describeContent(content: Readonly<Record<string, z.ZodType | null>>, io: 'input' | 'output'): Json {
  return Object.fromEntries(
    Object.entries(content).map(([type, schema]) => [
      type,
      { schema: schema === null ? { type: 'string' } : jsonSchema(schema, io) },
    ]),
  )
}

/** One response per status, naming the codes that have it. */
function describeProblems(codes: readonly ProblemCode[]): Json {
  const byStatus = new Map<number, Set<ProblemCode>>()
  for (const code of codes) {
    const { status } = describeProblem(code, '')
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code))
  }
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [String(status), { description: [...names].join(', '), content }]),
  )
}

function eventDataSchemas({ catalog }: ServeDependencies): Json {
  const schemas: Record<string, unknown> = {}
  for (const { type, versions } of catalog.values()) {
    for (const [version, { schema }] of Object.entries(versions)) {
      const name = schemaOf(type, Number(version)).replace('urn:riverbank:', '').replace(':', '.v')
      schemas[name] = jsonSchema(schema, 'input')
    }
  }
  return schemas
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, { io, target: 'draft-2020-12', unrepresentable: 'any' })
  return json
}
