import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { environmentName, names, type Config } from './settings/config.ts'
import { definitions } from './settings/definitions.ts'
import { topicSpecs } from './servers/topics.ts'
import { openStateStore } from './servers/event-log.ts'
import type { EventType } from '../../events/event.ts'
import { isRiverbankError, RiverbankError } from '../../base/errors.ts'
import { openLake } from '../../lake/commit/lake.ts'
import type { TopicFinding } from '../../events/codec/record-parts.ts'
import type { EventLog } from '../../ports/log.ts'
import { stateMetadata, type StateStore } from '../../ports/states.ts'
import type { Logger } from '../../ports/telemetry.ts'

/** A setting that contradicts the existing installation. */
export interface Contradiction {
  readonly code: 'topic_mismatch' | 'log_mismatch' | 'lake_mismatch' | 'accepted_mismatch'
  /** The existing value, and the configured one. */
  readonly what: string
  readonly advice: string
}

/** The calls on a log that these checks make. */
type TopicLook = Pick<EventLog, 'describeTopic' | 'checkTopic'>

/** The parts of an installation that the caller can reach. */
export interface Existing {
  readonly log?: TopicLook
  readonly store?: Pick<StateStore, 'metadata'>
  /** Also checks whether the lake in the data folder belongs to this installation. */
  readonly lake?: boolean
}

/** Lists every setting that contradicts the installation. Changes nothing. Errors: those of log, states and lake. */
export async function contradictions(config: Config, { log, store, lake }: Existing): Promise<Contradiction[]> {
  const found = await Promise.all([
    log === undefined ? [] : inTopics(config, log),
    store === undefined ? [] : inStates(config, store),
    store === undefined ? [] : inAccepted(config, store),
    lake === true ? inLake(config) : [],
  ])
  return found.flat()
}

/**
 * Rejects with the code of the first contradiction and a message with all: a role must not work with wrong settings.
 */
export async function refuseContradictions(config: Config, existing: Existing): Promise<void> {
  const found = await contradictions(config, existing)
  const [first] = found
  if (first === undefined) return
  throw new RiverbankError(first.code, found.map(({ what, advice }) => `${what}: ${advice}`).join('; '))
}

/** Checks all parts before any role starts. Leaves states that do not answer now to the roles that need them. */
export async function refuseAnyContradiction(config: Config, log: TopicLook): Promise<void> {
  const store = await openStateStore(config).catch((error: unknown) => {
    if (!isRiverbankError(error) || !error.canRetry) throw error
    return null
  })
  try {
    await refuseContradictions(config, { log, lake: true, ...(store === null ? {} : { store }) })
  } finally {
    await store?.close()
  }
}

/** With another number of partitions keys would move, or no reader would read the higher partitions. */
async function inTopics(config: Config, log: TopicLook): Promise<Contradiction[]> {
  const asked = config.PARTITIONS
  const found: Contradiction[] = []
  for (const spec of topicSpecs(config)) {
    const { topic } = spec
    for (const { severity, what, fix } of await log.checkTopic(spec)) {
      if (severity === 'wrong') found.push({ code: 'topic_mismatch', what, advice: fix })
    }
    const there = (await log.describeTopic(topic))?.length ?? asked
    if (there === asked) continue
    const setting = environmentName('PARTITIONS')
    found.push({
      code: 'topic_mismatch',
      what: `topic ${topic} has ${there} partitions, ${setting} asks for ${asked}`,
      advice: `set ${setting}=${there}; another number needs another ${environmentName('NAMESPACE')}`,
    })
  }
  return found
}

/** Properties of topics that break nothing yet. */
export async function topicRisks(config: Config, log: Pick<EventLog, 'checkTopic'>): Promise<readonly TopicFinding[]> {
  const found = await Promise.all(topicSpecs(config).map((spec) => log.checkTopic(spec)))
  return found.flat().filter(({ severity }) => severity === 'risky')
}

/** Logs each risk as one line when a role starts. */
export async function tellTopicRisks(config: Config, log: Pick<EventLog, 'checkTopic'>, logger: Logger): Promise<void> {
  for (const { what, fix } of await topicRisks(config, log)) logger.warn(what, { fix })
}

/** The accepted values of each event type that does not accept all that its schema knows: sorted, as JSON. */
export function acceptedText(events: readonly EventType[]): string {
  const accepted = events.map(({ type, accepts }) => [type, Object.entries(accepts).sort()] as const)
  return JSON.stringify(accepted.filter(([, fields]) => fields.length > 0).sort())
}

/** States have summed the values that were accepted before; sums over other values do not add up. */
async function inAccepted(config: Config, store: Pick<StateStore, 'metadata'>): Promise<Contradiction[]> {
  const [there, asked] = [await store.metadata(stateMetadata.accepts), acceptedText(definitions(config).set.events)]
  if (there === null || there === asked) return []
  const settings = Object.keys(config.project.definition.settings).map(environmentName).join(', ')
  return [
    {
      code: 'accepted_mismatch',
      what: `the states of namespace ${config.NAMESPACE} were made of events that accept ${there}, the definitions say ${asked}`,
      advice: `${settings === '' ? 'restore' : `set ${settings} as before, or restore`} the definitions; other values need another ${environmentName('NAMESPACE')}`,
    },
  ]
}

/** Positions and stored responses name offsets of one log: under another log they would name other events. */
async function inStates({ LOG, NAMESPACE }: Config, store: Pick<StateStore, 'metadata'>): Promise<Contradiction[]> {
  const there = await store.metadata(stateMetadata.log)
  if (there === null || there === LOG) return []
  const setting = environmentName('LOG')
  return [
    {
      code: 'log_mismatch',
      what: `the states of namespace ${NAMESPACE} were made from the ${there} log, ${setting} asks for ${LOG}`,
      advice: `set ${setting}=${there}; another log needs another ${environmentName('NAMESPACE')}`,
    },
  ]
}

/** Null for a damaged lake: a command that works with it reports it, the others need not wait for its repair. */
async function coveredOf(dir: string): Promise<ReadonlyMap<string, number> | null> {
  try {
    return (await (await openLake({ dir })).snapshot()).covered
  } catch (error) {
    if (isRiverbankError(error, 'lake_corrupt') || isRiverbankError(error, 'lake_unreadable')) return null
    throw error
  }
}

/** A lake belongs to one namespace: no query could separate the events of two. */
async function inLake(config: Config): Promise<Contradiction[]> {
  const dir = join(config.DATA_DIR, 'lake')
  if (!existsSync(join(dir, '_log'))) return []
  const { topics } = names(config)
  const own: ReadonlySet<string> = new Set([topics.events, topics.scores])
  const covered = await coveredOf(dir)
  if (covered === null) return []
  const foreign = new Set([...covered.keys()].map((key) => key.slice(0, key.lastIndexOf('/'))))
  const others = [...foreign].filter((topic) => !own.has(topic))
  if (others.length === 0) return []
  const namespace = environmentName('NAMESPACE')
  return [
    {
      code: 'lake_mismatch',
      what: `the lake in ${dir} holds ${others.join(', ')}, ${namespace}=${config.NAMESPACE} asks for ${topics.events}`,
      advice: `set ${namespace} to the one of that lake, or choose another ${environmentName('DATA_DIR')}`,
    },
  ]
}
