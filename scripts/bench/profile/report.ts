import { functionOf, idle, stageOf, type StackTimes } from './by-stage.ts'

/** The processor time of a role while it was profiled: µs of each payment or request. */
export interface RoleCost {
  /** All of its threads. */
  readonly allUs: number
  /** The thread that runs JavaScript. */
  readonly mainUs: number
}

type Row = Readonly<Record<string, string | number>>

/**
 * The rows by stage and by function. A profile counts wall-clock time, in which other processes hold the cores, too: the
 * rows are the shares of the samples that were not idle, times the processor time that the kernel counted.
 */
export function profileRows(times: StackTimes, { allUs, mainUs }: RoleCost, functions: number) {
  const stages = times.by(stageOf)
  const busyUs = [...stages].reduce((sum, [stage, us]) => (stage === idle ? sum : sum + us), 0)
  const rows = (all: ReadonlyMap<string, number>, name: string): Row[] =>
    [...all].flatMap(([key, us]) => (key === idle ? [] : [rowOf(name, key, (us / busyUs) * mainUs, allUs)]))
  const idleShare = (stages.get(idle) ?? 0) / (busyUs + (stages.get(idle) ?? 0))
  return {
    idleShare,
    stages: [
      ...rows(stages, 'stage'),
      rowOf('stage', '(other threads: garbage, compiler, libraries)', allUs - mainUs, allUs),
    ],
    functions: rows(times.by(functionOf), 'function').slice(0, functions),
  }
}

function rowOf(name: string, key: string, us: number, allUs: number): Row {
  return { [name]: key, µs: us.toFixed(2).padStart(8), share: `${((us / allUs) * 100).toFixed(1)} %`.padStart(7) }
}
