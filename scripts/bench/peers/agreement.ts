import type { Contestant, SharedFeature } from './contestant.ts'
import type { Installation } from '../installation.ts'
import { names } from '../../../src/app/installation/settings/config.ts'

/** How many payments have the same value of a feature in a contestant's output and in Riverbank's. */
export interface Agreement {
  readonly contestant: string
  readonly feature: string
  readonly compared: number
  readonly equal: number
}

type Row = Readonly<Record<string, unknown>>

/** What Riverbank says of a payment. */
export interface OwnRow {
  /** Minor units. */
  readonly amount: number
  readonly features: Row
}

/** Compares every payment that both topics hold; of several records of one payment the first counts. */
export async function compareAll(
  installation: Installation,
  contestants: readonly Contestant[],
): Promise<readonly Agreement[]> {
  const ours = new Map<string, OwnRow>()
  await eachRecord(installation, names(installation.config).topics.scores, ({ data }) => {
    if (!isRow(data) || typeof data['paymentId'] !== 'string' || !isRow(data['features'])) return
    ours.set(data['paymentId'], { amount: Number(data['amountMinor']), features: data['features'] })
  })
  const found: Agreement[] = []
  for (const { name, outputs } of contestants) {
    for (const { topic, features } of outputs) {
      if (features.length === 0) continue
      const theirs = new Map<string, Row>()
      await eachRecord(installation, topic, (row) => {
        if (typeof row['id'] === 'string' && !theirs.has(row['id'])) theirs.set(row['id'], row)
      })
      for (const feature of features) found.push({ contestant: name, ...countEqual(feature, ours, theirs) })
    }
  }
  return found
}

/** Counts the payments that both have, by id, and those of them whose values of one feature are the same. */
export function countEqual(
  feature: SharedFeature,
  ours: ReadonlyMap<string, OwnRow>,
  theirs: ReadonlyMap<string, Row>,
): Omit<Agreement, 'contestant'> {
  let [compared, equal] = [0, 0]
  for (const [id, row] of theirs) {
    const own = ours.get(id)
    if (own === undefined) continue
    compared += 1
    // Null is the sum of no payment.
    const before = Number(own.features[feature.ours] ?? 0)
    if (row[feature.name] === before + (feature.plus === 'one' ? 1 : own.amount)) equal += 1
  }
  return { feature: feature.name, compared, equal }
}

async function eachRecord({ log }: Installation, topic: string, take: (row: Row) => void): Promise<void> {
  const ranges = ((await log.describeTopic(topic)) ?? []).filter(({ start, end }) => end > start)
  if (ranges.length === 0) return
  const left = new Map(ranges.map(({ partition, end }) => [partition, end]))
  let finish: () => void = () => undefined
  const read = new Promise<void>((resolve) => (finish = resolve))
  const from = new Map(ranges.map(({ partition, start }) => [partition, start]))
  const tail = await log.tail({ topic, from, maxRecords: 1_000, maxWaitMs: 100 }, ({ partition, records, next }) => {
    for (const { value } of records) {
      const row: unknown = JSON.parse(Buffer.from(value).toString())
      if (isRow(row)) take(row)
    }
    if (next >= (left.get(partition) ?? Infinity)) left.delete(partition)
    if (left.size === 0) finish()
    return Promise.resolve()
  })
  await Promise.race([read, tail.finished])
  await tail.stop()
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null
}
