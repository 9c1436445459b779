import { expect, test } from 'vitest'
import { showProgress } from '../../../scripts/demo/progress.ts'
import { eventually } from '../../support/wait.ts'

const percentOf = (text: string) => Number(/^history: (\d+)% scored/.exec(text)?.[1])

test('the progress of the history is what the processors have committed, and never goes back', async () => {
  const shown: number[] = []
  const answers: ((done: number) => void)[] = []
  const log = {
    committed: () =>
      new Promise<ReadonlyMap<number, number>>((resolve) =>
        answers.push((done) => {
          resolve(new Map([[0, done / 2] as const, [1, done / 2] as const]))
        }),
      ),
  }
  const options = { group: 'process', topic: 'events', total: 200, show: (text: string) => shown.push(percentOf(text)) }
  const progress = showProgress(log, options)
  await eventually(() => answers.length === 3, { deadlineMs: 30_000 })
  progress.stop()
  // The first question is answered after the second.
  answers[1]?.(80)
  await eventually(() => shown.length === 1, { deadlineMs: 5_000 })
  answers[0]?.(20)
  answers[2]?.(100)
  await eventually(() => shown.length === 2, { deadlineMs: 5_000 })
  expect(shown).toEqual([40, 50])
})
