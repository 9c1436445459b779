import { z } from 'zod'
import type { ServeDependencies } from './dependencies.ts'
import { describeProblem } from './problem.ts'
import { problemCodes, type ProblemCode } from './problem-codes.ts'
import type { ParameterDescription, Route } from './route.ts'
import { nameOf, scoreSchemas } from './schemas.ts'

type Json = Readonly<Record<string, unknown>>

/** Problems that any route may answer. */
const commonProblems: readonly ProblemCode[] = [
  'bad_request',
  'request_timeout',
  'overloaded',
  'unavailable',
  'internal_error',
  'foreign_origin',
  'foreign_host',
]
const bodyProblems: readonly ProblemCode[] = [
  'unsupported_media_type',
  'body_too_large',
  'body_unreadable',
  'undecodable_bytes',
  'invalid_json',
]

/**
 * The OpenAPI 3.1 document of these routes, made from the zod schemas that parse the requests and from the table of
 * problems. Every named schema is a component; everything else refers to it.
 */
export function describeApi(routes: readonly Route[], deps: ServeDependencies): Json {
  const paths: Record<string, Record<string, Json>> = {}
  const described = {
    input: componentsOf(requestSchemas(routes), 'input'),
    output: componentsOf([...scoreSchemas(deps.scoreForms).shared, ...answerSchemas(routes)], 'output'),
  }
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: describeOperation(route, described) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `Riverbank: ${deps.project.name}`,
      version: deps.version,
      description: `Real-time features of an event stream, and decisions on its ${deps.project.scored}.`,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    servers: [{ url: '/' }],
    tags: ['events', 'features', 'scores', 'sql', 'models', 'operation'].map((name) => ({ name })),
    paths,
    components: {
      schemas: { ...described.input.schemas, ...described.output.schemas },
      securitySchemes: {
        apiKey: { type: 'http', scheme: 'bearer', description: 'needed when the service is run with an API key' },
      },
    },
    'x-problems': Object.fromEntries(problemCodes.map((code) => [code, describeProblem(code, '')])),
  }
}

function describeOperation({ access, description, method }: Route, { input, output }: Described): Json {
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
    ...(parameters.length === 0 ? {} : { parameters: parameters.map((parameter) => describeParameter(parameter)) }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: describeContent(body, input) } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [
          status,
          { description: answer.description, content: describeContent(answer.content, output) },
        ]),
      ),
      ...describeProblems(problems),
    },
  }
}

function describeParameter({ name, in: place, description, schema }: ParameterDescription): Json {
  const required = place === 'path' || !schema.safeParse(undefined).success
  return { name, in: place, required, description, schema: jsonSchema(schema) }
}

function describeContent(content: Readonly<Record<string, z.ZodType | null>>, { refer }: Components): Json {
  return Object.fromEntries(
    Object.entries(content).map(([type, schema]) => [
      type,
      { schema: schema === null ? { type: 'string' } : refer(schema) },
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

interface Described {
  readonly input: Components
  readonly output: Components
}

/** Named schemas as JSON Schema, and a reference to each. */
interface Components {
  readonly schemas: Json
  readonly refer: (schema: z.ZodType) => Json
}

function requestSchemas(routes: readonly Route[]): z.ZodType[] {
  return routes.flatMap(({ description }) => [...(description.schemas ?? []), ...Object.values(description.body ?? {})])
}

function answerSchemas(routes: readonly Route[]): z.ZodType[] {
  const answers = routes.flatMap(({ description }) => Object.values(description.answers))
  return answers.flatMap(({ content }) => Object.values(content)).filter((schema) => schema !== null)
}

/** `input`: a reader accepts unknown members. `output`: a writer writes these members and no others. */
function componentsOf(schemas: readonly z.ZodType[], io: 'input' | 'output'): Components {
  const registry = z.registry<{ id: string }>()
  for (const schema of schemas) {
    const id = nameOf(schema)
    if (id === undefined)
      throw new Error(`a body has no name in the API description: ${JSON.stringify(z.toJSONSchema(schema))}`)
    registry.add(schema, { id })
  }
  const uri = (id: string) => `#/components/schemas/${id}`
  const { schemas: found } = z.toJSONSchema(registry, { ...options, io, uri })
  return {
    schemas: Object.fromEntries(Object.entries(found).map(([id, schema]) => [id, withoutDialect(schema)])),
    refer: (schema) => ({ $ref: uri(nameOf(schema) ?? '') }),
  }
}

const options = { target: 'draft-2020-12', unrepresentable: 'any' } as const

function jsonSchema(schema: z.ZodType): Json {
  return withoutDialect(z.toJSONSchema(schema, { ...options, io: 'input' }))
}

function withoutDialect({ $schema: _dialect, $id: _id, ...json }: Json): Json {
  return json
}
