import { spawnSync } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { RiverbankError } from '../../../src/base/errors.ts'
import { pinoLogger, type PinoLoggerOptions } from '../../../src/edges/pino/logger.ts'
import { built } from '../../support/built.ts'

function capture(level: PinoLoggerOptions['level']) {
  const text: string[] = []
  const logger = pinoLogger({ level, fields: { role: 'serve' }, to: { write: (line) => void text.push(line) } })
  return { logger, lines: () => text.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

test('a line has its level by name, an ISO time, the message and the fields', () => {
  const { logger, lines } = capture('info')
  logger.child({ partition: 3 }).info('batch done', { events: 7 })
  expect(lines()).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      role: 'serve',
      partition: 3,
      events: 7,
      message: 'batch done',
    },
  ])
})

test('an error is spelled out with its code and its cause', () => {
  const { logger, lines } = capture('info')
  const cause = new Error('socket closed')
  logger.error('publish failed', {
    error: new RiverbankError('log_unavailable', 'no broker', { canRetry: true, cause }),
  })
  expect(lines()[0]?.['error']).toMatchObject({
    code: 'log_unavailable',
    canRetry: true,
    message: 'no broker',
    stack: expect.stringContaining('logger.test.ts'),
    cause: { message: 'socket closed' },
  })
})

test('what is below the level is not written', () => {
  const { logger, lines } = capture('warn')
  logger.debug('a')
  logger.info('b')
  logger.warn('c')
  const silent = capture('silent')
  silent.logger.error('d')
  expect([lines().map((line) => line['message']), silent.lines()]).toEqual([['c'], []])
})

test('lines go to stderr, are there when the process exits, and stdout stays empty', () => {
  const url = pathToFileURL(built('src/edges/pino/logger.ts')).href
  const code = `
    import { pinoLogger } from ${JSON.stringify(url)}
    pinoLogger({ level: 'info', fields: {} }).error('last words')
    process.exit(3)`
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    cwd: fileURLToPath(new URL('../../..', import.meta.url)),
  })
  expect([child.status, child.stdout]).toEqual([3, ''])
  expect(JSON.parse(child.stderr.trim().split('\n').at(-1) ?? '')).toMatchObject({ message: 'last words' })
})
