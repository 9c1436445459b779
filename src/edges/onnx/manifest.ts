import { z } from 'zod'
import { rolloutSchema, modelFolder, type Rollout } from '../../scoring/rollout/generation.ts'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in lower-case hex')
const columnName = z.string().min(1).max(256)
/** A whole number is a fixed length; a name stands for one that may differ from run to run. */
const shape = z
  .array(z.union([z.number().int().positive(), columnName]))
  .min(1)
  .max(8)
const probability = z.number().min(0).max(1)
/** JSON numbers are doubles: the model would round one that is no float32. */
const float32 = z.number().refine((value) => Math.fround(value) === value, 'is not a float32')
/** The types of a model's inputs in its file: the vector is cast to them. */
const inputTypes = ['float32', 'float64', 'int32', 'int64', 'bool'] as const
const tensor = z.strictObject({ name: columnName, type: z.enum(inputTypes), shape })
/**
 * The types of a model's outputs. The manifest states also those beside the probability, such as a label; none is read.
 */
const outputTypes = ['float32', 'float64', 'int32', 'int64', 'bool', 'string'] as const
const answer = z.strictObject({ name: columnName, type: z.enum(outputTypes), shape })
/** All metrics are at or below 1: areas, precisions, shares. */
const metric = probability
const count = z.number().int().min(0)

const fold = z
  .strictObject({
    aucRoc: metric,
    averagePrecision: metric,
    cardPrecision100: metric,
    rows: count.positive(),
    frauds: count,
  })
  .refine(({ rows, frauds }) => frauds <= rows, 'has more frauds than rows')
const operatingPoint = z.strictObject({ alertRate: probability, precision: probability, recall: probability })

/** The data and tools of a training: for people, like the metrics. */
const training = z
  .strictObject({
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    /** First and last training day of the data, both included. */
    days: z.tuple([z.number().int(), z.number().int()]),
    rows: count.positive(),
    frauds: count.positive(),
    seed: z.number().int(),
    /** The training used no labels that came later. */
    labelsKnownBy: z.iso.datetime().optional(),
    parameters: z.record(z.string(), z.number()),
    /** Versions of all tools of the training. */
    tools: z.record(z.string(), z.string()),
  })
  .refine(({ from, to }) => Date.parse(from) <= Date.parse(to), 'ends before it begins')
  .refine(({ days: [first, last] }) => first <= last, 'days end before they begin')
  .refine(({ rows, frauds }) => frauds <= rows, 'has more frauds than rows')
  .refine(
    ({ to, labelsKnownBy }) => labelsKnownBy === undefined || Date.parse(labelsKnownBy) >= Date.parse(to),
    'labels are known before the last event is observed',
  )

const metrics = z.strictObject({
  validation: fold,
  test: fold,
  atReview: operatingPoint,
  atBlock: operatingPoint,
  testFolds: z.strictObject({
    folds: count.positive(),
    aucRoc: metric,
    averagePrecision: metric,
    cardPrecision100: metric,
  }),
  /** Largest difference between the exported model and the library that trained it. */
  differenceToNative: z.number().min(0).max(1e-5),
})

/** `models/<name>/<version>/manifest.json`: a model's identity, its training, and the scores that it must answer. */
export const modelManifestSchema = z
  .strictObject({
    format: z.literal(1),
    ...modelFolder.shape,
    /** The sha256 of the file model.onnx. */
    sha256,
    /** The sha256 of covers.json, which `riverbank models register` writes for trees without covers of their own. */
    covers: z.strictObject({ sha256 }).optional(),
    /** Hash, from the compiled feature set, of the service on whose values the model was trained. */
    featureSet: sha256,
    /** The service whose vector is the model's input. */
    service: columnName,
    /** The vector's elements, in order. */
    features: z.array(columnName).min(1).max(4096),
    /** One matrix, or one column for each feature in their order. */
    input: z.union([tensor, z.array(tensor).min(2).max(4096)]),
    outputs: z.array(answer).min(1).max(8),
    /** The output and the column of the probability of fraud (column 0 of an output without columns). */
    probability: z.strictObject({ output: columnName, column: count }),
    /** A score at or above `block` is blocked, else at or above `review` reviewed. */
    thresholds: z.strictObject({ review: z.number(), block: z.number() }),
    /** Statistics of each feature over the training rows: explanations call these values usual. */
    featureStats: z.record(columnName, z.strictObject({ mean: z.number(), median: z.number() })).optional(),
    training: training.optional(),
    metrics: metrics.optional(),
    golden: z.strictObject({
      /** Largest difference of a score from the expected one; the same build of the runtime gives the same bits. */
      tolerance: z.number().positive().max(1e-3),
      vectors: z.array(z.array(float32)).min(16).max(1024),
      scores: z.array(probability),
    }),
  })
  .superRefine((manifest, context) => {
    for (const [path, message] of contradictions(manifest)) {
      context.addIssue({ code: 'custom', path: [path], message })
    }
  })

interface Contradicting {
  readonly features: readonly string[]
  readonly input: { readonly name: string } | readonly { readonly name: string }[]
  readonly outputs: readonly {
    readonly name: string
    readonly type: string
    readonly shape: readonly (number | string)[]
  }[]
  readonly probability: { readonly output: string; readonly column: number }
  readonly featureStats?: Readonly<Record<string, unknown>> | undefined
  readonly golden: { readonly vectors: readonly (readonly number[])[]; readonly scores: readonly number[] }
}

/** Finds mistakes that show only in several fields together. */
function* contradictions(manifest: Contradicting): Generator<readonly [path: string, message: string]> {
  const { features, outputs, golden } = manifest
  const width = features.length
  if (isTwice(features)) yield ['features', 'has a name twice']
  if (!('name' in manifest.input)) {
    const names = manifest.input.map(({ name }) => name)
    if (names.length !== width) yield ['input', `is one matrix, or one input for each of the ${width} features`]
    if (isTwice(names)) yield ['input', 'has a name twice']
  }
  if (isTwice(outputs.map(({ name }) => name))) yield ['outputs', 'has a name twice']
  const stranger = Object.keys(manifest.featureStats ?? {}).find((name) => !features.includes(name))
  if (stranger !== undefined) yield ['featureStats', `${stranger} is no feature of the model`]
  if (golden.vectors.length !== golden.scores.length) yield ['golden', 'one score per vector']
  if (golden.vectors.some((vector) => vector.length !== width)) yield ['golden', `every vector has ${width} elements`]
  const [first, ...others] = golden.vectors.map((vector) => vector.join())
  if (others.every((vector) => vector === first)) yield ['golden', 'all vectors are the same: they prove nothing']
  yield* wrongProbability(manifest)
}

function* wrongProbability({
  outputs,
  probability: { output: name, column },
}: Contradicting): Generator<readonly [path: string, message: string]> {
  const output = outputs.find((candidate) => candidate.name === name)
  if (output === undefined) yield ['probability', 'names no output']
  else if (output.type !== 'float32' && output.type !== 'float64') {
    yield ['probability', 'is in an output of float32 or float64']
  } else if (output.shape.length > 2) yield ['outputs', 'the probability is in an output of rows, or rows by columns']
  else if (column >= columnsOf(output.shape)) yield ['probability', 'has no such column']
}

function isTwice(names: readonly string[]): boolean {
  return new Set(names).size < names.length
}

export type ModelManifest = z.infer<typeof modelManifestSchema>

/** Columns of an output of shape [rows] or [rows, columns]; 0 when the shape does not fix them. */
export function columnsOf(outputShape: readonly (number | string)[]): number {
  const columns = outputShape.length === 1 ? 1 : outputShape[1]
  return typeof columns === 'number' ? columns : 0
}

const registeredRollout = rolloutSchema.strict().superRefine(({ champion, shadows }, context) => {
  const complain = (message: string) => context.addIssue({ code: 'custom', path: ['shadows'], message })
  const names = shadows.map(({ name, version }) => `${name}/${version}`)
  if (isTwice(names)) complain('has a model twice')
  if (names.includes(`${champion.name}/${champion.version}`)) complain('has the champion')
  if (shadows.some(({ policy }) => policy !== undefined)) complain('a shadow decides nothing: name no policy')
})

/**
 * `models/registry.json`: by scored type the champion and shadows with which a list of generations begins.
 */
export const modelRegistrySchema = z.record(z.string(), registeredRollout)
export type ModelRegistry = Readonly<Record<string, Rollout>>
