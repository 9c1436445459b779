import { z } from 'zod'
import { lineupSchema, modelFolder, type Lineup } from '../../core/generation.ts'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in lower-case hex')
const columnName = z.string().min(1).max(256)
/** A whole number is a fixed length; a name stands for one that may differ from run to run. */
const shape = z
  .array(z.union([z.number().int().positive(), columnName]))
  .min(1)
  .max(8)
const probability = z.number().min(0).max(1)
/** JSON numbers are doubles: one that is no float32 would be rounded on its way into the model. */
const float32 = z.number().refine((value) => Math.fround(value) === value, 'is not a float32')
const tensor = z.object({ name: columnName, type: z.literal('float32'), shape })
/** What a model answers beside the probability, such as a label, is stated and never read. */
const outputTypes = ['float32', 'float64', 'int32', 'int64', 'bool', 'string'] as const
const answer = z.object({ name: columnName, type: z.enum(outputTypes), shape })
const metric = z.number()

const fold = z.object({
  aucRoc: metric,
  averagePrecision: metric,
  cardPrecision100: metric,
  rows: z.number().int(),
  frauds: z.number().int(),
})
const operatingPoint = z.object({ alertRate: probability, precision: probability, recall: probability })

/** `models/<name>/<version>/manifest.json`: what a model is, was made of, and must answer. */
export const modelManifestSchema = z
  .object({
    format: z.literal(1),
    ...modelFolder.shape,
    /** Of model.onnx. */
    sha256,
    /** Hash of the service, as the compiled feature set has it, whose values the model was trained on. */
    featureSet: sha256,
    /** The service whose vector is the model's input. */
    service: columnName,
    /** The vector's elements, in order. */
    features: z.array(columnName).min(1).max(4096),
    input: tensor,
    outputs: z.array(answer).min(1).max(8),
    /** Where the probability of fraud is: this column of this output (column 0 of an output without columns). */
    probability: z.object({ output: columnName, column: z.number().int().min(0) }),
    /** A score at or above `block` is blocked, else at or above `review` reviewed. */
    thresholds: z.object({ review: z.number(), block: z.number() }),
    /** Of each feature over the training rows: what explanations call usual. */
    featureStats: z.record(columnName, z.object({ mean: z.number(), median: z.number() })).optional(),
    /** What it was made of: for people, like the metrics. */
    training: z
      .object({
        from: z.iso.datetime(),
        to: z.iso.datetime(),
        /** First and last training day of the data, both included. */
        days: z.tuple([z.number().int(), z.number().int()]),
        rows: z.number().int().positive(),
        frauds: z.number().int().positive(),
        seed: z.number().int(),
        parameters: z.record(z.string(), z.number()),
        /** Versions of everything that took part. */
        tools: z.record(z.string(), z.string()),
      })
      .optional(),
    metrics: z
      .object({
        validation: fold,
        test: fold,
        atReview: operatingPoint,
        atBlock: operatingPoint,
        testFolds: z.object({
          folds: z.number().int().positive(),
          aucRoc: metric,
          averagePrecision: metric,
          cardPrecision100: metric,
        }),
        /** Largest difference between the exported model and the library that trained it. */
        differenceToNative: z.number().min(0).max(1e-5),
      })
      .optional(),
    golden: z.object({
      /** Largest difference of a score from the expected one; the same build of the runtime gives the same bits. */
      tolerance: z.number().positive().max(1e-3),
      vectors: z.array(z.array(float32)).min(16).max(1024),
      scores: z.array(probability),
    }),
  })
  .superRefine((manifest, context) => {
    const width = manifest.features.length
    const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if (new Set(manifest.features).size !== width) complain('features', 'has a name twice')
    if (manifest.golden.vectors.length !== manifest.golden.scores.length) complain('golden', 'one score per vector')
    if (manifest.golden.vectors.some((vector) => vector.length !== width)) {
      complain('golden', `every vector has ${width} elements`)
    }
    const output = manifest.outputs.find((candidate) => candidate.name === manifest.probability.output)
    if (output === undefined) complain('probability', 'names no output')
    else if (output.type !== 'float32') complain('probability', 'is in an output of float32')
    else if (output.shape.length > 2) complain('outputs', 'the probability is in an output of rows, or rows by columns')
    else if (manifest.probability.column >= columnsOf(output.shape)) complain('probability', 'has no such column')
  })

export type ModelManifest = z.infer<typeof modelManifestSchema>

/** Columns of an output of shape [rows] or [rows, columns]; 0 when the shape does not fix them. */
export function columnsOf(outputShape: readonly (number | string)[]): number {
  const columns = outputShape.length === 1 ? 1 : outputShape[1]
  return typeof columns === 'number' ? columns : 0
}

/** `models/registry.json`: who decides, and whose scores are only logged, when a list of generations begins. */
export const modelRegistrySchema = lineupSchema
export type ModelRegistry = Lineup
