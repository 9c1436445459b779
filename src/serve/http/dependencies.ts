import type { ScoreForm } from '../../scoring/score-form.ts'
import type { Score } from '../../scoring/output-events.ts'
import type { EventCatalog } from '../../events/event.ts'
import type { Explanations } from '../../scoring/explain/explainer.ts'
import type { FeatureSetManifest } from '../../engine/feature-set.ts'
import type { Clock } from '../../ports/clock.ts'
import type { EventLog, Position } from '../../ports/log.ts'
import type { SqlRunner } from '../../ports/sql.ts'
import type { Logger, Meter } from '../../ports/telemetry.ts'
import type { EventContent, EventLedger } from '../events/event-ledger.ts'
import type { FeatureReader } from '../features/feature-reader.ts'
import type { Identity } from '../scores/identity-index.ts'
import type { FoundScore } from '../scores/score-entry.ts'
import type { ServeLimits } from './limits.ts'
import type { ModelAdministration } from '../models/model-administration.ts'
import type { ScoreHub } from '../scores/score-hub.ts'
import type { ScoreSpool } from '../scores/score-spool.ts'

/**
 * Answers which of these events the states of their aggregates remember, in the order given. Best effort: states do not
 * know events that no processor has applied yet; the processor drops repeats that pass.
 */
export interface KnownEvents {
  known(events: readonly Identity[]): Promise<readonly boolean[]>
}

/** Narrows a query for the scores of an event id. */
export interface LakeScoresQuery {
  /** Only of this aggregate; null: one score of each. */
  readonly aggregateId: string | null
  /** Aggregates whose score the caller has already. */
  readonly known: readonly string[]
  readonly max: number
}

/**
 * Finds single events and scores in the lake: an id that no file holds costs no query. Errors: `lookup_busy`
 * (canRetry).
 */
export interface LakeLookup {
  scores(eventId: string, query: LakeScoresQuery): Promise<readonly FoundScore[]>
  /** The first valid event of this identity. */
  event(identity: Identity): Promise<(Position & { readonly content: EventContent }) | null>
}

/**
 * Explains a model's scores. Errors: `model_not_found`, `model_refused` (its files do not match its manifest).
 */
export type ModelExplanations = (model: Score['model']) => Promise<Explanations>

/** Checks one thing that the role needs before it gets traffic. Answers null when it is there, else the reason. */
export interface ReadinessProbe {
  readonly name: string
  /** /readyz lists its reason, but stays ready. */
  readonly isAdvisory?: boolean
  check(): Promise<string | null>
}

/** Everything the HTTP role talks to. It owns none of it: its creator closes it. */
export interface ServeDependencies {
  readonly log: Pick<EventLog, 'publish' | 'describeTopic'>
  readonly eventsTopic: string
  readonly scoresTopic: string
  readonly catalog: EventCatalog
  /** By event type of the scored events. */
  readonly scoreForms: ReadonlyMap<string, ScoreForm>
  readonly knownEvents: KnownEvents
  readonly features: FeatureReader
  readonly featureSet: FeatureSetManifest
  /** For the title of the API description; `scored`: the scored things, in the plural. */
  readonly project: { readonly name: string; readonly scored: string }
  readonly hub: ScoreHub
  /** The newest scores, older than those in the hub. */
  readonly spool: Pick<ScoreSpool, 'find' | 'sharing'>
  /** The newest events of the log. */
  readonly ledger: Pick<EventLedger, 'find' | 'sharing' | 'hasSeen' | 'isCaughtUp'>
  readonly lake: LakeLookup
  readonly explanations: ModelExplanations
  readonly sql: Pick<SqlRunner, 'run'>
  readonly models: ModelAdministration
  readonly probes: readonly ReadinessProbe[]
  readonly clock: Clock
  readonly meter: Meter
  readonly logger: Logger
  /** Bearer token of every call; null: loopback only, and the guard refuses browsers of other origins. */
  readonly apiKey: string | null
  readonly version: string
  readonly limits: ServeLimits
}
