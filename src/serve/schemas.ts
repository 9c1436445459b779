import { z } from 'zod'
import { problemCodes } from './problem.ts'

/** RFC 9457, as every error of this API is spelled. */
export const problemSchema = z.object({
  type: z.string().describe('urn:riverbank:problem:<code>; stable'),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.enum(problemCodes),
  instance: z.string().optional(),
  requestId: z.string().optional(),
})
