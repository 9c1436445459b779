import { aggregateRules } from '../engine/aggregate.ts'
import { featuresOf } from '../engine/expression.ts'
import type { FeatureManifest, FeatureSetManifest } from '../engine/feature-set.ts'
import type { FeatureSet } from '../define/feature-set.ts'
import { missingFeatures } from '../define/checks/missing.ts'
import { scoredTypeOf, scoredTypes } from '../define/checks/scored-types.ts'
import { reasonForm, type Reason } from '../define/reason.ts'
import { featureName, type View } from '../define/view.ts'
import type { LabelRule } from '../events/label-rule.ts'
import { canonicalJson, hashText } from './hash.ts'
import { horizonMs } from './horizon.ts'
import { fieldOf } from './slots.ts'

/** Compiles the feature set to data: the repository holds it, and models, lake and readers use it. */
export function compileManifest(set: FeatureSet): FeatureSetManifest {
  // Missing for any scored type: a feature has one description.
  const missing = new Set([null, ...scoredTypes(set)].flatMap((type) => [...missingFeatures(set, type).keys()]))
  const features = [
    ...set.views.flatMap((view) => viewManifest(view, missing)),
    ...set.derived.map((derived) => derivedManifest(derived, missing)),
  ]
  const content: Omit<FeatureSetManifest, 'hash'> = {
    format: 3,
    events: set.events.map(({ type, currentVersion, label, scored }) => ({
      type,
      version: currentVersion,
      ...(label === undefined ? {} : { label: meaningOf(label) }),
      ...(scored === undefined ? {} : { scored }),
    })),
    entities: set.entities.map((entity) => ({
      name: entity.name,
      keyFields: entity.keyFields,
      partitionKey: entity.partitionKey,
      horizonMs: horizonMs(set.views.filter((view) => view.entity === entity)),
      tilesMax: entity.tilesMax,
    })),
    features,
    services: set.services.map((service) => ({
      name: service.name,
      eventType: scoredTypeOf(service, set),
      hash: serviceHash(set, service.vector, features),
      features: service.vector,
    })),
  }
  return { ...content, hash: hashText(canonicalJson(content)) }
}

/** A label's word changes no feature. */
function meaningOf({ says: _, ...label }: LabelRule): LabelRule {
  return label
}

export function featureSetHash(set: FeatureSet): string {
  return compileManifest(set).hash
}

/** A new view, or a feature that no model takes, changes no service: models stay valid. */
function serviceHash(set: FeatureSet, vector: readonly string[], features: readonly FeatureManifest[]): string {
  const known = new Map(features.map((feature) => [feature.name, feature]))
  const needed = new Set(vector)
  // Backwards: a derived feature reads only those before it.
  for (const { name, expression } of set.derived.toReversed()) {
    if (needed.has(name)) for (const read of featuresOf(expression.tree)) needed.add(read)
  }
  const meanings = [...needed].sort().map((name) => {
    const { type, entity, definition } = known.get(name) ?? { type: null, entity: null, definition: null }
    return { name, type, entity, definition }
  })
  return hashText(canonicalJson({ vector, meanings }))
}

function viewManifest(view: View, missing: ReadonlySet<string>): FeatureManifest[] {
  return view.aggregates.flatMap((aggregate) =>
    view.windows.map((window): FeatureManifest => {
      const delayed = view.delay === '0s' ? '' : `, ${view.delay} ago`
      return {
        name: featureName(view.name, aggregate.name, window),
        type: aggregateRules[aggregate.kind].type,
        nullable: missing.has(featureName(view.name, aggregate.name, window)),
        entity: view.entity.name,
        view: view.name,
        description: `${aggregate.name.replaceAll('_', ' ')} of the ${view.entity.name} ${window === 'lifetime' ? 'ever' : `over ${window}`}${delayed}`,
        ...reasonOf(view.reasons[aggregate.name], featureName(view.name, aggregate.name, window), window),
        definition: {
          version: view.version,
          aggregate: aggregate.kind,
          slots: aggregate.slots.map(({ kind, source, column, size }) => ({
            kind,
            eventType: source.eventType,
            field: fieldOf(source, column),
            where: source.where,
            ...(size === 0 ? {} : { size }),
          })),
          ...(aggregate.kind === 'last' ? { position: aggregate.position } : {}),
          window,
          hop: view.hop,
          delay: view.delay,
        },
      }
    }),
  )
}

function reasonOf(reason: Reason | undefined, feature: string, window: string | null): Pick<FeatureManifest, 'reason'> {
  return reason === undefined ? {} : { reason: reasonForm(reason, feature, window) }
}

function derivedManifest(derived: FeatureSet['derived'][number], missing: ReadonlySet<string>): FeatureManifest {
  return {
    name: derived.name,
    type: 'double',
    nullable: missing.has(derived.name),
    entity: null,
    view: null,
    description: derived.description,
    ...reasonOf(derived.reason, derived.name, null),
    definition: derived.expression.tree,
  }
}
