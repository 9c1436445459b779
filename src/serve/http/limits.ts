import { secondMs } from '../../base/units.ts'

/** Every bound of the HTTP role. Durations in milliseconds, sizes in bytes; {@link serveLimits} gives the reasons. */
export interface ServeLimits {
  readonly bodyBytesMax: number
  readonly batchEventsMax: number
  readonly waitMsMax: number
  readonly featureRowsMax: number
  readonly featureNamesMax: number
  readonly sqlBytesMax: number
  readonly requestTimeoutMs: number
  readonly sqlTimeoutMs: number
  readonly readBackMsMax: number
  readonly inFlightMax: number
  readonly probeTimeoutMs: number
}

export const serveLimits: ServeLimits = {
  /** A batch of 500 usual events is 250 KB; four times that is still parsed in a few milliseconds. */
  bodyBytesMax: 1_048_576,
  batchEventsMax: 500,
  /** Longer than any decision takes in a service that is well; shorter than what proxies cut off. */
  waitMsMax: 30 * secondMs,
  /** Rows of one feature request: one MGET of a few thousand states at most. */
  featureRowsMax: 500,
  featureNamesMax: 500,
  sqlBytesMax: 65_536,
  requestTimeoutMs: 10 * secondMs,
  /** Only a second line: the query runner ends its queries itself, with a better answer. */
  sqlTimeoutMs: 630 * secondMs,
  /** How long an answer waits until this process has read from the log what it wrote: a few milliseconds when all is well. */
  readBackMsMax: 1 * secondMs,
  /** Requests at the same time, streams not counted; beyond it, an answer would come too late anyway. */
  inFlightMax: 2_000,
  probeTimeoutMs: 2 * secondMs,
}
