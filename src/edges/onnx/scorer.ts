import { InferenceSession, Tensor } from 'onnxruntime-node'
import { assert, RiverbankError } from '../../base/errors.ts'
import type { Explanations } from '../../scoring/explain/explainer.ts'
import type { Scorer } from '../../ports/scorer.ts'
import type { Adaptation } from './adaptation.ts'
import type { ModelManifest } from './manifest.ts'
import { floatAt } from '../../base/arrays.ts'

/**
 * Opens a session of ONNX Runtime. One thread and sequential: `run` blocks the event loop while it computes, and
 * several threads make a batch of small trees slower. Rejects when the bytes are no model that it can run.
 */
export async function openSession(model: Uint8Array): Promise<InferenceSession> {
  return InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    enableCpuMemArena: true,
    enableMemPattern: true,
    // Errors come back as rejections; at a lower level the runtime would write them to stderr as well.
    logSeverityLevel: 4,
  })
}

/** Keeps at most so many buffers for later calls: one per call that may wait at the same time. */
const sparesMax = 4

/** Names and columns of the adapted model. */
export interface OnnxScorerOptions extends Pick<Adaptation, 'input' | 'output' | 'columns'> {
  readonly session: InferenceSession
  readonly manifest: ModelManifest
  readonly explanations: Explanations
  readonly rows?: OnnxScorer['rows']
}

/**
 * {@link Scorer} over a session that has passed the load checks. Calls may overlap: each copies its rows first, so the
 * caller may reuse its array as soon as `score` was called.
 */
export class OnnxScorer implements Scorer {
  readonly name: string
  readonly version: string
  readonly service: string
  readonly thresholds: { readonly review: number; readonly block: number }
  readonly explanations: Explanations
  readonly manifest: ModelManifest
  /** Runs the rows of a batch together, or each by itself, so that not one bit of a score depends on its neighbours. */
  readonly rows: 'together' | 'one by one'
  readonly #session: InferenceSession
  readonly #form: Pick<Adaptation, 'input' | 'output' | 'columns'>
  readonly #spares: Float32Array[] = []
  readonly #running = new Set<Promise<unknown>>()
  #closed: Promise<void> | null = null

  constructor({ session, manifest, explanations, rows = 'together', ...form }: OnnxScorerOptions) {
    this.#session = session
    this.#form = { input: form.input, output: form.output, columns: form.columns }
    this.explanations = explanations
    this.rows = rows
    this.manifest = manifest
    this.name = manifest.name
    this.version = manifest.version
    this.service = manifest.service
    this.thresholds = Object.freeze({ ...manifest.thresholds })
  }

  /**
   * `vectors`: rows × features, row-major. Answers one probability of fraud per row; a row's answer does not depend on
   * the other rows. NaN where the model's answer is not finite. Rejects with `vector_not_finite`, naming the first such
   * row, and with `score_failed` (canRetry).
   */
  async score(vectors: Float32Array, rows: number): Promise<Float32Array> {
    const { features } = this.manifest
    assert(this.#closed === null, `model ${this.name}/${this.version} is closed`)
    assert(Number.isSafeInteger(rows) && rows >= 0, `${rows} rows`)
    assert(vectors.length === rows * features.length, `${vectors.length} values for ${rows} × ${features.length}`)
    if (rows === 0) return new Float32Array(0)
    const buffer = this.#take(vectors.length)
    try {
      copyFinite(vectors, buffer, features)
      const input = buffer.subarray(0, vectors.length)
      const run = this.rows === 'together' ? this.#run(input, rows) : this.#runEach(input, rows)
      this.#running.add(run)
      try {
        return await run
      } finally {
        this.#running.delete(run)
      }
    } finally {
      if (this.#spares.length < sparesMax) this.#spares.push(buffer)
    }
  }

  /** Waits for running calls and frees the session. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed ??= Promise.allSettled(this.#running).then(() => this.#session.release())
    await this.#closed
  }

  async #runEach(input: Float32Array, rows: number): Promise<Float32Array> {
    const width = this.manifest.features.length
    const scores = new Float32Array(rows)
    for (let row = 0; row < rows; row += 1) {
      const [score = NaN] = await this.#run(input.subarray(row * width, (row + 1) * width), 1)
      scores[row] = score
    }
    return scores
  }

  async #run(input: Float32Array, rows: number): Promise<Float32Array> {
    const { features, probability } = this.manifest
    const { input: name, output, columns } = this.#form
    const tensor = new Tensor('float32', input, [rows, features.length])
    const outputs = await this.#session.run({ [name]: tensor }, [output]).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error)
      throw new RiverbankError('score_failed', `${this.name}/${this.version}: ${why}`, {
        canRetry: true,
        cause: error,
      })
    })
    const answer = outputs[output]
    assert(answer !== undefined && answer.data instanceof Float32Array, `no float32 output ${output}`)
    assert(answer.data.length === rows * columns, `${answer.data.length} values for ${rows} × ${columns}`)
    return columnOf(answer.data, rows, columns, probability.column)
  }

  #take(length: number): Float32Array {
    const spare = this.#spares.pop()
    return spare !== undefined && spare.length >= length ? spare : new Float32Array(length)
  }
}

function copyFinite(from: Float32Array, to: Float32Array, features: readonly string[]): void {
  for (let index = 0; index < from.length; index += 1) {
    const value = floatAt(from, index)
    // False for NaN and both infinities, and cheaper than Number.isFinite.
    if (value - value !== 0) {
      const row = Math.floor(index / features.length)
      const feature = String(features[index % features.length])
      throw new RiverbankError('vector_not_finite', `${feature} of row ${row} is ${value}`)
    }
    to[index] = value
  }
}

function columnOf(data: Float32Array, rows: number, columns: number, column: number): Float32Array {
  const scores = new Float32Array(rows)
  for (let row = 0; row < rows; row += 1) {
    const value = floatAt(data, row * columns + column)
    scores[row] = value - value === 0 ? value : NaN
  }
  return scores
}
