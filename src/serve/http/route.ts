import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { z } from 'zod'
import type { ProblemCode } from './problem-codes.ts'

export interface ServeEnv {
  Bindings: HttpBindings
  Variables: { requestId: string }
}
export type ServeContext = Context<ServeEnv>

/** One route: its handler, access, time limit and API description. */
export interface Route {
  readonly method: 'GET' | 'POST'
  /** As Hono spells it; `:name` is one segment. */
  readonly path: string
  /** `open` routes need no API key. */
  readonly access: 'open' | 'key'
  /** Milliseconds until 504; null for a route that bounds itself (streams). */
  readonly timeoutMs: number | null
  handle(c: ServeContext): Promise<Response> | Response
  readonly description: RouteDescription
}

export interface RouteDescription {
  readonly operationId: string
  readonly summary: string
  readonly detail?: string
  readonly tag: 'events' | 'features' | 'scores' | 'sql' | 'models' | 'operation'
  readonly parameters?: readonly ParameterDescription[]
  /** The named schemas within the body. */
  readonly schemas?: readonly z.ZodType[]
  /** By content type. */
  readonly body?: Readonly<Record<string, z.ZodType>>
  readonly answers: Readonly<Record<number, AnswerDescription>>
  readonly problems: readonly ProblemCode[]
  /** A command to try it, written for the index page; `$base` is the address of the service. */
  readonly example?: string
}

export interface ParameterDescription {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly description: string
  readonly schema: z.ZodType
}

export interface AnswerDescription {
  readonly description: string
  /** By content type; a text answer has no schema. */
  readonly content: Readonly<Record<string, z.ZodType | null>>
}

/** A JSON response that bypasses Hono's `c.json`: the hot path writes its own headers. */
export function jsonResponse(c: ServeContext, status: number, body: unknown): Response {
  return textResponse(c, status, 'application/json', JSON.stringify(body))
}

export function textResponse(c: ServeContext, status: number, contentType: string, body: string): Response {
  return new Response(body, {
    status,
    headers: { 'content-type': contentType, 'x-request-id': c.get('requestId'), 'cache-control': 'no-store' },
  })
}
