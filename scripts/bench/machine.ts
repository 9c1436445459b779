import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'

/** The machine of the measurements. */
export interface Machine {
  readonly cores: number
  readonly cpu: string
  readonly memoryGb: number
  readonly node: string
  readonly platform: string
  /** Runnable processes over the last minute, ours included. */
  readonly loadAverage: number
}

export function describeMachine(): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    loadAverage: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  }
}

export function machineLine({ cores, cpu, memoryGb, node, platform, loadAverage }: Machine): string {
  return `${cores} cores (${cpu}), ${memoryGb} GB, Node ${node}, ${platform}, load average ${loadAverage}`
}
