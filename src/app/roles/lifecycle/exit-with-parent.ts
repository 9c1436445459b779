/**
 * Ties this process to its parent: when the parent is gone, for whatever reason, it calls `drain`, and ends this
 * process after `drainMsMax` in any case. Does nothing in a process that was started by hand. The connection does not
 * keep the process alive.
 */
export function exitWithParent(drain: () => void, drainMsMax: number): void {
  if (process.channel === undefined) return
  const orphaned = () => {
    setTimeout(() => process.exit(1), drainMsMax).unref()
    drain()
  }
  process.once('disconnect', orphaned)
  process.channel.unref()
  // The parent died between the fork and this line.
  if (!process.connected) orphaned()
}
