import { refusing, type InstalledProject } from './project.ts'
import { compileManifest } from '../../../compile/manifest.ts'
import { compilePlan } from '../../../compile/plan.ts'
import type { EventCatalog } from '../../../events/event.ts'
import { scoreForms as scoreFormsOf } from '../../../scoring/score-form.ts'
import { lakeSchema as lakeSchemaOf } from '../../../lake/tables/derive-lake-schema.ts'
import type { ModelReference } from '../../../scoring/rollout/generation.ts'
import type { Decider } from '../../../scoring/policy.ts'
import { servicePlan } from '../../../scoring/service.ts'
import type { Scorer } from '../../../ports/scorer.ts'

/** The definitions of an installation, compiled. Errors: `project_refused`. */
export function definitions({ project, featureSet: set }: Pick<InstalledProject, 'project' | 'featureSet'>) {
  return refusing(project.folder, () => {
    const catalog: EventCatalog = new Map(set.events.map((event) => [event.type, event]))
    const scoreForms = new Map(scoreFormsOf(set.events).map((form) => [form.eventType, form]))
    const manifest = compileManifest(set)
    const lakeSchema = lakeSchemaOf({ catalog, manifest })
    return { set, plan: compilePlan(set), catalog, manifest, scoreForms, lakeSchema }
  })
}

export type Definitions = ReturnType<typeof definitions>

/** The champion of a type of events, checked against the definitions. Errors: `model_refused`. */
export async function loadModel(
  modelsDir: string,
  { manifest }: Pick<Definitions, 'manifest'>,
  eventType: string,
): Promise<Scorer> {
  const { loadChampion } = await import('../../../edges/onnx/load.ts')
  return loadChampion({ modelsDir, services: manifest.services, eventType })
}

/**
 * Loads any model of the folder, or of one type of events, with all checks against the definitions. Errors:
 * `model_refused`.
 */
export function modelLoader(
  modelsDir: string,
  { manifest, plan }: Pick<Definitions, 'manifest' | 'plan'>,
  eventType: string | null = null,
) {
  const services = manifest.services.filter((service) => eventType === null || service.eventType === eventType)
  return async (model: ModelReference): Promise<Scorer> => {
    // Loading the runtime of the models takes longer than most commands, which need only the definitions.
    const { loadPolicy, loadScorer } = await import('../../../edges/onnx/load.ts')
    const scorer = await loadScorer({ modelsDir, ...model, services })
    if (model.policy === undefined) return scorer
    try {
      const service = servicePlan(plan, scorer.service)
      return deciding(scorer, await loadPolicy(modelsDir, { ...model, policy: model.policy }, service))
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
