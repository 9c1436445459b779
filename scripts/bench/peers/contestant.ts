import type { Installation } from '../installation.ts'

/** One feature of a payment, in both programs. */
export interface SharedFeature {
  /** As the contestant's output names it. */
  readonly name: string
  /** Riverbank's feature, which leaves the payment itself out: `plus` says what to add to it. */
  readonly ours: string
  readonly plus: 'one' | 'amount'
}

/** A topic that a contestant writes, and which features it has. */
export interface Output {
  readonly topic: string
  readonly features: readonly SharedFeature[]
}

/** A program that reads the payments of a topic and writes windowed features of each to others. */
export interface Contestant {
  readonly name: string
  /** The topic that it reads. */
  readonly input: string
  /** Each has at least one record per payment. */
  readonly outputs: readonly Output[]
  /** The number of features that one payment gets. */
  readonly features: number
  /** What it does not do of what the others do, or does otherwise: one line each. */
  readonly differs: readonly string[]
  /** Its own processes by role; the broker is not among them. */
  pids(): ReadonlyMap<string, number>
  /** Errors: `peer_failed` when it has ended by itself. */
  check(): void
  stop(): Promise<void>
}

/** Where contestants run. */
export interface Place {
  readonly installation: Installation
  readonly brokers: string
  /** A folder of its own, deleted at the end. */
  readonly dir: string
}

const customerWindows = ['5m', '1h', '1d', '7d', '30d'] as const
const terminalWindows = ['1h', '1d'] as const

/** Windows of features/ that every contestant has. */
export const customerFeatures: readonly SharedFeature[] = customerWindows.flatMap((window): SharedFeature[] => [
  { name: `customer_count_${window}`, ours: `customer_spend__payment_count_${window}`, plus: 'one' },
  { name: `customer_sum_${window}`, ours: `customer_spend__amount_sum_${window}`, plus: 'amount' },
])
export const terminalFeatures: readonly SharedFeature[] = terminalWindows.map((window) => ({
  name: `terminal_count_${window}`,
  ours: `terminal_activity__payment_count_${window}`,
  plus: 'one',
}))
export const pairFeatures: readonly SharedFeature[] = [
  { name: 'pair_count', ours: 'customer_at_terminal__payment_count_lifetime', plus: 'one' },
]
