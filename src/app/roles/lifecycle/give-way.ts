import { getPriority, setPriority } from 'node:os'

/** On a machine that is short of processor time this niceness gets a third of what another role gets. */
const niceness = 5

/**
 * Lets other processes go first; the threads that libraries start later inherit it. One that was started with less
 * priority keeps it: only root may raise it.
 */
export function giveWay(): void {
  if (getPriority() < niceness) setPriority(niceness)
}
