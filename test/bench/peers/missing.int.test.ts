import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { built } from '../../support/built.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'riverbank-peers-test-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

function install(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  return spawnSync(process.execPath, [built('scripts/bench-peers.ts'), '--install', ...args], {
    encoding: 'utf8',
    env: { ...process.env, PEERS_CACHE_DIR: dir, ...env },
  })
}

test('without Python the benchmark of peers says which peer is missing and what it needs, by a stable code', () => {
  const { status, stderr } = install({ PYTHON: join(dir, 'no-python') }, '--only', 'feast')
  expect(stderr).toMatch(/^peer_missing: feast could not be installed: Python 3\.11 to 3\.13 is needed/m)
  expect(status).toBe(1)
})

test('without Java the benchmark of peers says that streams need it, and goes on to the next peer', () => {
  const { status, stderr } = install({ PATH: dir, PYTHON: join(dir, 'no-python') }, '--only', 'flink', 'feast')
  expect(stderr).toMatch(/^peer_missing: flink: no java on PATH/m)
  expect(stderr).toMatch(/^peer_missing: feast /m)
  expect(status).toBe(1)
})

test('a peer that does not exist is refused before anything is installed', () => {
  const { status, stderr } = install({}, '--only', 'spark')
  expect(stderr).toMatch(/spark/)
  expect(status).toBe(2)
})
