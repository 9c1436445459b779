#!/usr/bin/env node
import { commands } from './app/command-line/commands.ts'
import { exitCodes } from './app/command-line/exit-codes.ts'
import { programOf } from './app/command-line/program.ts'
import { endWithReader } from './app/command-line/standard-streams.ts'
import { isProjectError } from './app/installation/settings/project.ts'
import { isRiverbankError } from './base/errors.ts'

/** The command line. Results go to stdout, everything else to stderr. */
endWithReader()
try {
  await programOf(commands).parseAsync()
} catch (error) {
  // An expected failure is one line with its code; any other error is a bug, and shows where it is.
  const text = isRiverbankError(error) ? `${error.code}: ${error.message}` : bugReport(error)
  process.stderr.write(`${text}\n`)
  process.exitCode = isProjectError(error) ? exitCodes.usage : exitCodes.failed
}

function bugReport(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
