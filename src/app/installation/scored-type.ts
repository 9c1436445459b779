import { readModel } from '../../edges/onnx/load.ts'
import { isModelRefused } from '../../edges/onnx/refusal.ts'
import type { FeatureSetManifest } from '../../engine/feature-set.ts'
import type { ModelReference } from '../../scoring/rollout/generation.ts'

/**
 * The type of events that a model of the folder scores: that of its service. Null if the model or its service is not
 * here: then the caller must name the type.
 */
export function scoredTypeOfModels(
  modelsDir: string,
  { services }: Pick<FeatureSetManifest, 'services'>,
): (model: ModelReference) => Promise<string | null> {
  return async ({ name, version }) => {
    try {
      const { manifest } = await readModel({ modelsDir, name, version })
      return services.find((service) => service.name === manifest.service)?.eventType ?? null
    } catch (error) {
      if (isModelRefused(error)) return null
      throw error
    }
  }
}
