import { unreachable } from '../../base/errors.ts'
import type { FileEntry, LostRange } from '../commit/commit.ts'
import { rangeOf } from '../check/log-check.ts'
import { rangeText } from '../check/text.ts'

/** One action of a repair: done whole or not at all, and a second time changes nothing. */
export type RepairStep =
  | {
      readonly kind: 'restore_commit'
      readonly version: number
      /** The whole file, which has the checksum that the chain names. */
      readonly text: string
      readonly source: 'copy' | 'files'
    }
  | {
      readonly kind: 'begin_anew'
      readonly version: number
      readonly why: string
      readonly holes: readonly LostRange[]
    }
  | { readonly kind: 'retire_history'; readonly below: number }
  | { readonly kind: 'retire_log_file'; readonly name: string }
  | { readonly kind: 'write_head'; readonly version: number }
  | { readonly kind: 'restore_file'; readonly file: FileEntry; readonly from: string }
  | { readonly kind: 'read_file_again'; readonly file: FileEntry }
  | { readonly kind: 'read_range_again'; readonly range: LostRange }
  | { readonly kind: 'declare_file_lost'; readonly file: FileEntry }
  | {
      readonly kind: 'declare_range_lost'
      readonly topic: string
      readonly partition: number
      readonly from: number
      readonly next: number
    }

/** A fault that the given sources cannot repair, and what would help. */
export interface LeftFault {
  readonly what: string
  readonly why: string
}

export interface RepairPlan {
  readonly steps: readonly RepairStep[]
  readonly left: readonly LeftFault[]
}

export function stepText(step: RepairStep): string {
  switch (step.kind) {
    case 'restore_commit':
      return step.source === 'copy'
        ? `put commit ${step.version} back from the copy: it has the checksum that the chain names`
        : `put commit ${step.version} back: made from the files on disk, it has the checksum that the chain names`
    case 'begin_anew':
      return [
        `begin the log anew with a checkpoint of version ${step.version} (${step.why}); what is below goes to _quarantine`,
        ...step.holes.map((range) => `  not in any file that is named: ${rangeText(range)}`),
      ].join('\n')
    case 'retire_history':
      return `move the commits below version ${step.below} to _quarantine: a whole checkpoint stands above them`
    case 'retire_log_file':
      return `move ${step.name} to _quarantine: the log is whole without it`
    case 'write_head':
      return `write the head anew: version ${step.version} is the newest that is known`
    case 'restore_file':
      return `put ${step.file.path} back from ${step.from}: it has the checksum of the manifest`
    case 'read_file_again':
      return `read ${rangeText(rangeOf(step.file))} from the log again, in place of ${step.file.path}`
    case 'read_range_again':
      return `read ${rangeText(step.range)} from the log again`
    case 'declare_file_lost':
      return `declare ${rangeText(rangeOf(step.file))} lost, and take ${step.file.path} out of the lake`
    case 'declare_range_lost': {
      const { topic, partition, from, next } = step
      return `declare ${topic} partition ${partition} offsets ${from} to ${next - 1} lost: neither log nor lake has them`
    }
    default:
      return unreachable(step)
  }
}
