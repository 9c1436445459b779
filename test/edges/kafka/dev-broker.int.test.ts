import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { probeKafka } from '../../../src/edges/kafka/probe.ts'
import { kafkaMissing } from '../../support/kafka-broker.ts'
import { eventually } from '../../support/wait.ts'
import { built } from '../../support/built.ts'

const script = built('scripts/dev-kafka.ts')

function start(args: readonly string[] = []) {
  // As under npm, but with no npm above it that could end.
  const { npm_lifecycle_event: _, ...env } = process.env
  const child = spawn(process.execPath, [script, ...args], { stdio: 'pipe', env })
  onTestFinished(() => void child.kill('SIGKILL'))
  const output = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output.err += chunk.toString()))
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  return { child, output, ended }
}

describe.skipIf(kafkaMissing() !== null)('npm run dev:kafka', () => {
  it('prints where the broker is once it answers, and nothing else, and cleans up when told to end', async () => {
    const { child, output, ended } = start()
    await eventually(() => output.out.includes('\n'), { deadlineMs: 60_000 })
    const line = /^KAFKA_BROKERS=(127\.0\.0\.1:\d+)\n$/.exec(output.out)
    expect(line?.[1]).toBeDefined()
    await probeKafka({ brokers: [line?.[1] ?? ''], connectTimeoutMs: 1_000, requestTimeoutMs: 5_000 })
    const dir = /data in (\S+),/.exec(output.err)?.[1] ?? ''
    expect(existsSync(dir)).toBe(true)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(existsSync(dir)).toBe(false)
    expect(output.out).toBe(line?.[0])
  })

  it('says what is wrong with its arguments', async () => {
    const { output, ended } = start(['--port', 'seven'])
    expect(await ended).toBe(1)
    expect(output.err).toContain('not a port')
  })
})
