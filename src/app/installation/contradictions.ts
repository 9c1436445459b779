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

/** A setting that says something else than what exists. */
export interface Contradiction {
  readonly code: 'topic_mismatch' | 'log_mismatch' | 'lake_mismatch' | 'accepted_mismatch'
  /** What is there, and what is asked for. */
  readonly what: string
  readonly advice: string
}

/** What is asked of a log before it is used. */
type TopicLook = Pick<EventLog, 'describeTopic' | 'checkTopic'>

/** What an installation is made of, as far as it can be looked at from here. */
export interface Existing {
  readonly log?: TopicLook
  readonly store?: Pick<StateStore, 'metadata'>
  /** Whether the lake in the folder of the data is of this installation, too. */
  readonly lake?: boolean
}

/** Every setting that contradicts what exists. Changes nothing. Errors: those of log, states and lake. */
export async function contradictions(config: Config, { log, store, lake }: Existing): Promise<Contradiction[]> {
  const found = await Promise.all([
    log === undefined ? [] : inTopics(config, log),
    store === undefined ? [] : inStates(config, store),
    store === undefined ? [] : inAccepted(config, store),
    lake === true ? inLake(config) : [],
  ])
  return found.flat()
}

/** Rejects with the code of the first contradiction, and says all of them: a role must not work beside what exists. */
export async function refuseContradictions(config: Config, existing: Existing): Promise<void> {
  const found = await contradictions(config, existing)
  const [first] = found
  if (first === undefined) return
  throw new RiverbankError(first.code, found.map(({ what, advice }) => `${what}: ${advice}`).join('; '))
}

/** All that there is, before any role starts. States that cannot be asked just now are left to the roles that need them. */
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

/** Keys would move to other partitions, or those of the higher partitions would never be read. */
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

/** Each is a line of a role's log when it starts. */
export async function tellTopicRisks(config: Config, log: Pick<EventLog, 'checkTopic'>, logger: Logger): Promise<void> {
  for (const { what, fix } of await topicRisks(config, log)) logger.warn(what, { fix })
}

/** What the definitions accept of each event type, where they do not accept all that its schema knows: sorted, as JSON. */
export function acceptedText(events: readonly EventType[]): string {
  const accepted = events.map(({ type, accepts }) => [type, Object.entries(accepts).sort()] as const)
  return JSON.stringify(accepted.filter(([, fields]) => fields.length > 0).sort())
}

/** States sum what was accepted; with other values they would sum what must not be added. */
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

/** Positions and snapshots name offsets of one log: under another they would name other events. */
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

/** Null where the lake is damaged: whoever works with it says so, and nobody else has to wait for its repair. */
async function coveredOf(dir: string): Promise<ReadonlyMap<string, number> | null> {
  try {
    return (await (await openLake({ dir })).snapshot()).covered
  } catch (error) {
    if (isRiverbankError(error, 'lake_corrupt') || isRiverbankError(error, 'lake_unreadable')) return null
    throw error
  }
}

/** A lake belongs to one namespace: with two of them no query would tell which events are whose. */
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
