const lookMs = 250

/**
 * Under npm: ends this process, as SIGTERM does, when npm is gone. npm passes SIGTERM and SIGINT on to the program that it
 * started (which must not be a shell: the scripts say `exec`), and dies of anything else without telling it.
 */
export function endWithNpm(env = process.env) {
  if (env.npm_lifecycle_event === undefined) return
  const npm = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === npm) return
    clearInterval(timer)
    process.kill(process.pid, 'SIGTERM')
  }, lookMs)
  timer.unref()
}
