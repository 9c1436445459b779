import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { projectFolder as root } from '../../src/app/installation/settings/project-folder.ts'
import { RiverbankError } from '../../src/base/errors.ts'

/** Makes the Python environment of the training, if it is missing. Errors: `training_failed`. */
export function runSetup(): Promise<void> {
  return run(join(root, 'scripts/training/setup'), [])
}

/** Runs one of the scripts in this folder with our own terminal. Errors: `training_failed`. */
export function runPython(script: string, parameters: readonly string[]): Promise<void> {
  return run(join(root, '.venv/bin/python'), [join(root, 'scripts/training', script), ...parameters])
}

async function run(program: string, parameters: readonly string[]): Promise<void> {
  const child = spawn(program, parameters, { cwd: root, stdio: 'inherit' })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  if (code !== 0) throw new RiverbankError('training_failed', `${program} ended with ${code}`)
}
