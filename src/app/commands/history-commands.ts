import { command, defaulted, flag, installation, json, required, valued } from '../command-line/command.ts'
import { asGiven, dayMs, duration, number, wholeNumber, wholeNumberOrAll } from '../command-line/arguments.ts'

const model = valued('<name/version>', 'instead of the one that scored the newest events', asGiven)

const sql = command({
  name: 'sql',
  description:
    'one SELECT over the lake: events, scores, observations, a view for each event type that is no label, labels and\n' +
    'training_set; where several types are scored each has its own, such as logins_labels and logins_training_set',
  settings: installation,
  arguments: { select: required('select', 'the query, or - to read it from standard input') },
  options: { json },
  async run(config, { select, ...options }) {
    const { sqlCommand } = await import('./history/sql-command.ts')
    return sqlCommand(config, select, options)
  },
})

const verify = command({
  name: 'verify',
  description: 'recompute what was promised from what was written; exit code 1 when anything differs',
  settings: installation,
  options: {
    json,
    fast: flag('do not read every file again for its checksum'),
    states: valued(
      '<n>',
      'compare the states of so many entities of each kind, or of all (default 1000)',
      wholeNumberOrAll,
    ),
    seed: valued('<n>', 'chooses them', wholeNumber),
    pendingMax: valued('<duration>', 'exit code 1 when something is pending for longer, such as 30s or 5m', duration),
  },
  async run(config, options) {
    const { verifyCommand } = await import('./history/verify-command.ts')
    return verifyCommand(config, options)
  },
})

const backtest = command({
  name: 'backtest',
  description: "a model or a policy on the lake's features as they were, beside what was decided; writes nothing",
  settings: installation,
  options: {
    json,
    model,
    policy: valued('<file>', "instead of the model's own thresholds", asGiven),
    from: valued('<date>', 'first day, YYYY-MM-DD (UTC); without it the first of the lake', dayMs),
    to: valued('<date>', 'the day after the last one', dayMs),
    reviewCost: defaulted('<minor>', 'of looking at one event, in the unit of its worth', wholeNumber, 500),
    falseBlockCost: defaulted('<minor>', 'of refusing an honest event, in the unit of its worth', wholeNumber, 2_000),
  },
  async run(config, options) {
    const { backtestCommand } = await import('./history/backtest-command.ts')
    return backtestCommand(config, options)
  },
})

const monitor = command({
  name: 'monitor',
  description: 'drift from training, missing values, calibration and outcomes; exit code 1 beyond a limit',
  settings: installation,
  options: {
    json,
    model,
    days: defaulted('<n>', 'days of events to look at', wholeNumber, 7),
    to: valued('<date>', 'the day after the last one; without it up to the newest event', dayMs),
    labelDelay: defaulted('<days>', 'until labels have arrived: outcomes are judged so much earlier', wholeNumber, 7),
    maxPsi: defaulted('<index>', 'largest population stability index that is well', number, 0.25),
    maxNullRate: defaulted('<share>', 'largest share of missing values that is well', number, 0.01),
    minPrecision: defaulted('<share>', 'smallest precision of alerts that is well', number, 0),
    minRecall: defaulted('<share>', 'smallest recall of alerts that is well', number, 0),
  },
  async run(config, options) {
    const { monitorCommand } = await import('./history/monitor-command.ts')
    return monitorCommand(config, options)
  },
})

/** Commands that read the lake. */
export const historyCommands = [sql, verify, backtest, monitor]
