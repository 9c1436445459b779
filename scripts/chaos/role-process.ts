import { spawn, type ChildProcess } from 'node:child_process'
import type { Order, Word } from './messages.ts'
import { eachLine } from '../../src/app/supervise/lines.ts'
import { projectFolder } from '../../src/app/installation/settings/project-folder.ts'

const linesKept = 60
const lineCharsMax = 65_536

interface LogLine {
  readonly damaged?: readonly { readonly path?: unknown }[]
  readonly level?: unknown
  readonly message?: unknown
  readonly error?: { readonly code?: unknown; readonly message?: unknown }
}

/** The children that must not outlive the harness, however it ends. */
const alive = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** One role in a process of its own. The harness can hold, freeze and kill it; it keeps its reports and log lines. */
export class RoleProcess {
  readonly name: string
  readonly counts = new Map<Word['kind'], number>()
  readonly lines: string[] = []
  /** How it ended, null while it runs. */
  ended: string | null = null
  /** Code of the error that ended it. */
  failure: string | null = null
  rewinds = 0
  troubles = 0
  /** The number of partition assignments that began to wait for the states. */
  waits = 0
  /** Files of the lake that the role named as damaged. */
  readonly damaged = new Set<string>()
  onWord: (word: Word) => void = () => undefined
  readonly #child: ChildProcess
  readonly gone: Promise<void>
  #isFrozen = false

  constructor(name: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.name = name
    this.#child = spawn(process.execPath, ['--enable-source-maps', ...args], {
      cwd: projectFolder,
      env: { ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const child = this.#child
    alive.add(child)
    this.gone = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.ended = signal === null ? `exit code ${code}` : `signal ${signal}`
        alive.delete(child)
        resolve()
      })
    })
    child.on('error', () => undefined)
    child.on('message', (message) => {
      const word = message as Word
      const by = word.kind === 'conflicts' ? word.count : 1
      this.counts.set(word.kind, this.count(word.kind) + by)
      this.onWord(word)
    })
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) eachLine(stream, lineCharsMax, (line) => this.#read(line))
    }
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  count(kind: Word['kind']): number {
    return this.counts.get(kind) ?? 0
  }

  tell(order: Order): void {
    if (this.#child.connected) this.#child.send(order)
  }

  freeze(): void {
    this.#isFrozen = true
    this.#child.kill('SIGSTOP')
  }

  thaw(): void {
    this.#isFrozen = false
    this.#child.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.gone
  }

  /** SIGTERM, and SIGKILL when it has not ended in time. */
  async stop(timeoutMs = 10_000): Promise<void> {
    if (this.#isFrozen) this.thaw()
    if (this.ended === null) this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs)
    await this.gone
    clearTimeout(timer)
  }

  #read(line: string): void {
    this.lines.push(line)
    if (this.lines.length > linesKept) this.lines.shift()
    if (!line.startsWith('{')) return
    let parsed: LogLine
    try {
      parsed = JSON.parse(line) as LogLine
    } catch {
      return
    }
    const said = textOf(parsed.message) ?? ''
    if (said.startsWith('the states lost their tail')) this.rewinds += 1
    if (said === 'waiting for the states' || said === 'the states are refused') this.waits += 1
    if (said.includes('trying again') || said.startsWith('the consumer lost')) this.troubles += 1
    for (const { path } of parsed.damaged ?? []) if (typeof path === 'string') this.damaged.add(path)
    if (said === 'failed') this.failure = textOf(parsed.error?.code) ?? textOf(parsed.error?.message) ?? 'unknown'
  }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
