import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { withTimeLimit } from '../../../scripts/simulator/time-limit.ts'
import { eventually } from '../../support/wait.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

test('a limit of time holds whatever is collected meanwhile', async () => {
  const signal = withTimeLimit(new AbortController().signal, 1_000)
  await eventually(
    () => {
      collect()
      return signal.aborted
    },
    { deadlineMs: 10_000, what: 'the limit is reached' },
  )
})

test('it ends with what it limits, for the same reason', () => {
  const stop = new AbortController()
  const signal = withTimeLimit(stop.signal, 60_000)
  expect(signal.aborted).toBe(false)
  stop.abort(new Error('enough'))
  expect(signal.reason).toEqual(new Error('enough'))
  expect(withTimeLimit(stop.signal, 60_000).aborted).toBe(true)
})
