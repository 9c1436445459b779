import { aggregateRules } from '../core/aggregates.ts'
import type { FeatureManifest, FeatureSetManifest } from '../core/feature-set.ts'
import type { FeatureSet } from '../define/feature-set.ts'
import { featureName, type View } from '../define/view.ts'
import { canonicalJson, hashText } from './hash.ts'
import { horizonMs } from './horizon.ts'

/** The feature set as data: what is committed, and what models, lake and readers know of it. */
export function compileManifest(set: FeatureSet): FeatureSetManifest {
  const content: Omit<FeatureSetManifest, 'hash'> = {
    format: 1,
    events: set.events.map((event) => ({ type: event.type, version: event.currentVersion })),
    entities: set.entities.map((entity) => ({
      name: entity.name,
      keyField: entity.keyField,
      partitionKey: entity.partitionKey,
      horizonMs: horizonMs(set.views.filter((view) => view.entity === entity)),
    })),
    features: [...set.views.flatMap(viewManifest), ...set.derived.map(derivedManifest)],
    services: set.services.map((service) => ({ name: service.name, features: service.vector })),
  }
  return { ...content, hash: hashText(canonicalJson(content)) }
}

export function featureSetHash(set: FeatureSet): string {
  return compileManifest(set).hash
}

function viewManifest(view: View): FeatureManifest[] {
  return view.aggregates.flatMap((aggregate) =>
    view.windows.map((window): FeatureManifest => {
      const delayed = view.delay === '0s' ? '' : `, ${view.delay} ago`
      return {
        name: featureName(view.name, aggregate.name, window),
        type: aggregateRules[aggregate.kind].type,
        nullable: aggregate.nullable,
        entity: view.entity.name,
        view: view.name,
        description: `${aggregate.name.replaceAll('_', ' ')} of the ${view.entity.name} over ${window}${delayed}`,
        definition: {
          version: view.version,
          aggregate: aggregate.kind,
          slots: aggregate.slots.map(({ kind, source, column }) => ({
            kind,
            eventType: source.eventType,
            field: column === null ? null : source.columns[column],
            where: source.where,
          })),
          window,
          hop: view.hop,
          delay: view.delay,
        },
      }
    }),
  )
}

function derivedManifest(derived: FeatureSet['derived'][number]): FeatureManifest {
  return {
    name: derived.name,
    type: 'double',
    nullable: derived.nullable,
    entity: null,
    view: null,
    description: derived.description,
    definition: derived.expression.tree,
  }
}
