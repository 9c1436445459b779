import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { clientPrograms } from './python.ts'

const script = fileURLToPath(new URL('../clients/produce.py', import.meta.url))

/** A record as librdkafka takes it: null where Kafka allows null. */
export interface RawRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [string, Buffer | null])[]
}

/** Sends to partition 0 of a topic, in few batches. Rejects with what the client says. */
export function sendByLibrdkafka(
  brokers: string,
  topic: string,
  codec: string,
  records: readonly RawRecord[],
): Promise<void> {
  const child = spawn(`${clientPrograms}/python`, [script, brokers, topic, codec], {
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const text = (bytes: Buffer | null) => bytes?.toString('base64') ?? null
  const lines = records.map(({ key, value, headers }) =>
    JSON.stringify({ key: text(key), value: text(value), headers: headers.map(([name, v]) => [name, text(v)]) }),
  )
  // What ended it is told by its end.
  child.stdin.on('error', () => undefined)
  child.stdin.end(lines.map((line) => `${line}\n`).join(''))
  return endOf(child, 'librdkafka')
}

/** Resolves when the process ended well; rejects with the end of what it said on stderr. */
export function endOf(child: ReturnType<typeof spawn>, name: string): Promise<void> {
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2_000)))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`${name} ended with ${signal ?? code}: ${said}`))
    })
  })
}
