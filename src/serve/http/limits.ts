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
  /** Longer than a decision takes in a healthy service; shorter than the time-outs of proxies. */
  waitMsMax: 30 * secondMs,
  /** Rows of one feature request: one MGET of a few thousand states at most. */
  featureRowsMax: 500,
  featureNamesMax: 500,
  sqlBytesMax: 65_536,
  requestTimeoutMs: 10 * secondMs,
  /** A second line of defence: the query runner ends its queries itself, with a better answer. */
  sqlTimeoutMs: 630 * secondMs,
  /**
   * An answer waits at most so long until this process has read its own write back from the log: usually milliseconds.
   */
  readBackMsMax: 1 * secondMs,
  /** Concurrent requests, without streams; beyond it an answer would come too late anyway. */
  inFlightMax: 2_000,
  probeTimeoutMs: 2 * secondMs,
}
