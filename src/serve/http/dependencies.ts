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
 * Which of these events the states of their aggregates remember, in the order given. Best effort: events that are in the log
 * but not processed yet are not known, and the processor drops what slips through.
 */
export interface KnownEvents {
  known(events: readonly Identity[]): Promise<readonly boolean[]>
}

/** Which scores of an event id are asked for. */
export interface LakeScoresQuery {
  /** Only of this aggregate; null: one score of each. */
  readonly aggregateId: string | null
  /** Aggregates whose score is known already. */
  readonly known: readonly string[]
  readonly max: number
}

/** What the lake's files hold of single events: ids that they do not hold cost no query. Errors: `lookup_busy` (canRetry). */
export interface LakeLookup {
  scores(eventId: string, query: LakeScoresQuery): Promise<readonly FoundScore[]>
  /** The first valid event of this identity. */
  event(identity: Identity): Promise<(Position & { readonly content: EventContent }) | null>
}

/**
 * What can be said of a model's scores. Errors: `model_not_found`, `model_refused` (its files are not what they say they
 * are).
 */
export type ModelExplanations = (model: Score['model']) => Promise<Explanations>

/** One thing the role needs before it may get traffic. Answers null when it is there, else the reason why not. */
export interface ReadinessProbe {
  readonly name: string
  /** What it says is told, and keeps no traffic away. */
  readonly isAdvisory?: boolean
  check(): Promise<string | null>
}

/** Everything the HTTP role talks to. It owns none of it: whoever made it closes it. */
export interface ServeDependencies {
  readonly log: Pick<EventLog, 'publish' | 'describeTopic'>
  readonly eventsTopic: string
  readonly scoresTopic: string
  readonly catalog: EventCatalog
  /** By type of the events that are scored. */
  readonly scoreForms: ReadonlyMap<string, ScoreForm>
  readonly knownEvents: KnownEvents
  readonly features: FeatureReader
  readonly featureSet: FeatureSetManifest
  /** What the API description says of itself; `scored`: what is scored, in the plural. */
  readonly project: { readonly name: string; readonly scored: string }
  readonly hub: ScoreHub
  /** Newest scores beyond the hub's memory. */
  readonly spool: Pick<ScoreSpool, 'find' | 'sharing'>
  /** Newest events of the log. */
  readonly ledger: Pick<EventLedger, 'find' | 'sharing' | 'hasSeen' | 'isCaughtUp'>
  readonly lake: LakeLookup
  readonly explanations: ModelExplanations
  readonly sql: Pick<SqlRunner, 'run'>
  readonly models: ModelAdministration
  readonly probes: readonly ReadinessProbe[]
  readonly clock: Clock
  readonly meter: Meter
  readonly logger: Logger
  /** Bearer token of every call; null: loopback only, and browsers of other origins are refused. */
  readonly apiKey: string | null
  readonly version: string
  readonly limits: ServeLimits
}
