import { spawn } from 'node:child_process'
import { constants } from 'node:os'

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * Runs a program with this one's streams and passes signals on. Resolves with its exit code, 128 + the signal's number
 * when a signal ended it, 127 when it could not be started. `stdout` may be sent to stderr, for programs that chat.
 */
export function runChild(command, args, { cwd, env = process.env, stdout = 'inherit' } = {}) {
  return new Promise((resolve) => {
    const stdio = ['inherit', stdout === 'stderr' ? process.stderr : 'inherit', 'inherit']
    const child = spawn(command, args, { cwd, env, stdio })
    // A terminal sends ctrl-c to the whole group: the child had it already, and twice means "at once" to many programs.
    const forward = (signal) => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    }
    for (const signal of forwarded) process.on(signal, forward)
    const done = (code) => {
      for (const signal of forwarded) process.off(signal, forward)
      resolve(code)
    }
    child.once('error', (error) => {
      process.stderr.write(`${command}: ${error.message}\n`)
      done(127)
    })
    child.once('close', (code, signal) => done(code ?? 128 + constants.signals[signal]))
  })
}
