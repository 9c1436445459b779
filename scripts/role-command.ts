import { fileURLToPath } from 'node:url'
import { ownCommand, type Command } from '../src/app/supervise/supervisor.ts'

/** Runs the product's own command line, not the calling script. */
export function roleCommand(): Command {
  const { file, args } = ownCommand()
  return { file, args: [...args.slice(0, -1), fileURLToPath(new URL('../src/main.js', import.meta.url))] }
}
