import { LRUCache } from 'lru-cache'
import { RiverbankError } from '../../base/errors.ts'
import type { Explanations } from '../../scoring/explain/explainer.ts'
import { loadExplanations } from '../../edges/onnx/load.ts'
import { isModelRefused } from '../../edges/onnx/refusal.ts'
import type { ModelExplanations } from '../../serve/http/dependencies.ts'

/** Keeps at most so many models for explanations; one takes a few megabytes. */
const modelsMax = 8

/** Explanations of any model in the folder. It reads a model once, and tries one that it could not read again. */
export function modelExplanations(modelsDir: string): ModelExplanations {
  const known = new LRUCache<string, Promise<Explanations>>({ max: modelsMax })
  return async ({ name, version }) => {
    const key = `${name}/${version}`
    const reading = known.get(key) ?? loadExplanations({ modelsDir, name, version })
    known.set(key, reading)
    try {
      return await reading
    } catch (error) {
      if (known.peek(key) === reading) known.delete(key)
      if (isModelRefused(error, 'file_missing')) {
        throw new RiverbankError('model_not_found', `there is no model ${key} here any more`, { cause: error })
      }
      throw error
    }
  }
}
