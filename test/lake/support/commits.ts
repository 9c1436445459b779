import type { FileEntry, Proposal } from '../../../src/lake/commit/commit.ts'

/** Entries and proposals of a lake that has no files on disk: what the log alone is tried with. */

export const fileEntry = (i: number): FileEntry => ({
  path: `events/dt=2026-03-01/e-0-${i}-${i}.00000000.parquet`,
  table: 'events',
  topic: 'e',
  partition: 0,
  firstOffset: i,
  lastOffset: i,
  rows: 1,
  bytes: 1,
  sha256: '0'.repeat(64),
  schemaId: 's',
  minEventTimeMs: null,
  maxEventTimeMs: null,
})

export const ownedBy = (owner: string, topic = 'e') => ({ owners: [{ topic, partition: 0, owner }] })

/** The file of one offset, and the cover up to it. */
export const stepOf = (i: number): Proposal => ({
  owner: 'a',
  added: [fileEntry(i)],
  covered: [{ topic: 'e', partition: 0, from: i === 0 ? null : i, next: i + 1 }],
})
