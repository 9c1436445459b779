import { paymentFeatures } from '../../../features/index.ts'
import type { FeatureSettings } from '../../../features/settings.ts'
import { compileManifest } from '../../compile/manifest.ts'
import { compilePlan } from '../../compile/plan.ts'
import type { EventCatalog } from '../../events/event.ts'
import type { ModelReference } from '../../scoring/rollout/generation.ts'
import type { Decider } from '../../scoring/policy.ts'
import { servicePlan } from '../../process/scoring.ts'
import type { Scorer } from '../../ports/scorer.ts'

/** The installation's definitions, compiled: the only place that knows the folder features/, but for its settings. */
export function definitions(settings: FeatureSettings) {
  const set = paymentFeatures(settings)
  const catalog: EventCatalog = new Map(set.events.map((event) => [event.type, event]))
  return { set, plan: compilePlan(set), catalog, manifest: compileManifest(set) }
}

export type Definitions = ReturnType<typeof definitions>

/** The champion, checked against the definitions. Errors: `model_refused`. */
export async function loadModel(modelsDir: string, { manifest }: Pick<Definitions, 'manifest'>): Promise<Scorer> {
  const { loadChampion } = await import('../../edges/onnx/load.ts')
  return loadChampion({ modelsDir, services: manifest.services })
}

/** Loads any model of the folder, with all checks against the definitions. Errors: `model_refused`. */
export function modelLoader(modelsDir: string, { manifest, plan }: Pick<Definitions, 'manifest' | 'plan'>) {
  return async (model: ModelReference): Promise<Scorer> => {
    // The runtime of the models takes longer to load than most commands take, which only ask for the definitions.
    const { loadPolicy, loadScorer } = await import('../../edges/onnx/load.ts')
    const scorer = await loadScorer({ modelsDir, ...model, services: manifest.services })
    if (model.policy === undefined) return scorer
    try {
      const { names } = servicePlan(plan, scorer.service)
      return deciding(scorer, await loadPolicy(modelsDir, { ...model, policy: model.policy }, names))
    } catch (error) {
      await scorer.close()
      throw error
    }
  }
}

/** The same model with a policy. */
function deciding(scorer: Scorer, decider: Decider): Scorer {
  const { name, version, service, thresholds, explanations } = scorer
  return {
    ...{ name, version, service, thresholds, decider },
    ...(explanations === undefined ? {} : { explanations }),
    score: (vectors, rows) => scorer.score(vectors, rows),
    close: () => scorer.close(),
  }
}
