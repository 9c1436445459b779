import { names, type Config } from '../../src/app/installation/settings/config.ts'
import type { ProjectSamples } from '../../src/define/project.ts'
import { roleMetrics } from '../../src/app/supervise/up.ts'

const addressOf = (config: Config) => `http://127.0.0.1:${config.HTTP_PORT}`

/** The text while the processors work the history off: the addresses, and the routes that answer already. */
export function welcomeBeside(config: Config, samples: ProjectSamples): string {
  return [
    ...whereabouts(config),
    'While the history is worked off, features grow and SQL sees what is in the lake. Try:',
    '',
    ...commands(addressOf(config), samples),
    '',
  ].join('\n')
}

/** The text of a project without a simulator. */
export function welcomeWaiting(config: Config, samples: ProjectSamples): string {
  const url = addressOf(config)
  const { events } = names(config).topics
  return [
    ...whereabouts(config),
    `This project simulates nothing: send your ${samples.scored} to the topic ${events}, or to ${url}/v1/events`,
    `(${url}/openapi.json has an example). Then try:`,
    '',
    ...commands(url, samples),
    '',
  ].join('\n')
}

function whereabouts(config: Config): string[] {
  const { events, scores, deadLetters } = names(config).topics
  const url = addressOf(config)
  const metrics = roleMetrics(config, 1).map(({ role, url: at }) => `${at} (${role})`)
  return [
    '',
    `Riverbank is at ${url}, everything it keeps is in ${config.DATA_DIR}`,
    `  topics    ${events}, ${scores}, ${deadLetters}`,
    `  metrics   ${[`${url}/metrics (serve)`, ...metrics].join(', ')}`,
    '',
  ]
}

/** The text once live events come in. */
export function welcomeLive(config: Config, samples: ProjectSamples, rate: number): string {
  const url = addressOf(config)
  return [
    '',
    `The history is scored; ${rate} ${samples.scored} a second are coming in. Try:`,
    '',
    ...commands(url, samples),
    '',
  ].join('\n')
}

function commands(url: string, { entity }: ProjectSamples): string[] {
  return [
    `  curl -s ${url}/v1/entities/${entity.name}/${entity.id}/features`,
    `  curl -sN '${url}/v1/score-stream?decision=block,review'`,
    `  curl -s ${url}/v1/sql -H 'content-type: application/json' \\`,
    `    -d '{"sql": "SELECT decision, count(*) AS scored FROM scores GROUP BY ALL"}'`,
  ]
}
