import { sqlOf } from '../../../compile/sql/feature-sql.ts'
import { featureSetDifference } from '../../../compile/feature-set-diff.ts'
import {
  committedFile,
  compileCommand,
  compiledFreshness,
  readCompiled,
} from '../../installation/settings/compiled-feature-set.ts'
import { withDefaults } from '../../installation/settings/config.ts'
import { definitions, type Definitions } from '../../installation/settings/definitions.ts'
import type { InstalledProject, LoadedProject } from '../../installation/settings/project.ts'
import { differenceText } from './feature-diff-text.ts'
import { listFeatures, type FeatureFilter } from './feature-list.ts'
import { showFeature } from './feature-show.ts'
import { shownText } from './feature-show-text.ts'
import { table } from '../../command-line/table.ts'

export type FeaturesRequest =
  | { readonly kind: 'list'; readonly filter: FeatureFilter }
  | { readonly kind: 'show'; readonly name: string }
  /** Without `after`: the definitions of this program. */
  | { readonly kind: 'diff'; readonly before: string; readonly after?: string }
  | { readonly kind: 'check' }

/** `found` goes to stdout, as `json` or as `text`; a `mistake` of the caller to stderr. */
type Answer =
  | { readonly kind: 'found'; readonly json: unknown; readonly text: string; readonly code: 0 | 1 }
  | { readonly kind: 'mistake'; readonly reason: string }

/** `riverbank features`: needs no server. Answers the exit code. */
export async function featuresCommand(
  installed: InstalledProject,
  request: FeaturesRequest,
  options: { readonly json?: boolean },
): Promise<number> {
  // The committed feature set is that of the default settings.
  const { project } = installed
  const answer =
    request.kind === 'check'
      ? await check(project, definitions(withDefaults(project)))
      : await answerTo(request, definitions(installed))
  if (answer.kind === 'mistake') {
    process.stderr.write(`error: ${answer.reason}\n`)
    return 2
  }
  process.stdout.write(options.json === true ? `${JSON.stringify(answer.json)}\n` : answer.text)
  return answer.code
}

function answerTo(
  request: Exclude<FeaturesRequest, { kind: 'check' }>,
  installed: Definitions,
): Answer | Promise<Answer> {
  switch (request.kind) {
    case 'list':
      return list(request.filter, installed)
    case 'show':
      return show(request.name, installed)
    case 'diff':
      return diff(request.before, request.after, installed)
  }
}

function list(filter: FeatureFilter, { manifest }: Definitions): Answer {
  const listed = listFeatures(manifest, filter)
  if (listed.kind === 'unknown') return { kind: 'mistake', reason: listed.reason }
  return { kind: 'found', json: listed.rows, text: table(listed.rows.map((row) => ({ ...row }))), code: 0 }
}

function show(name: string, { set }: Definitions): Answer {
  const shown = showFeature(set, name, (asked) => sqlOf(set, asked))
  if (shown.kind === 'unknown') return { kind: 'mistake', reason: shown.reason }
  return { kind: 'found', json: shown, text: shownText(shown), code: 0 }
}

async function diff(beforePath: string, afterPath: string | undefined, { manifest }: Definitions): Promise<Answer> {
  const before = await readCompiled(beforePath)
  if (before.kind === 'unreadable') return { kind: 'mistake', reason: before.reason }
  const after = afterPath === undefined ? ({ kind: 'read', manifest } as const) : await readCompiled(afterPath)
  if (after.kind === 'unreadable') return { kind: 'mistake', reason: after.reason }
  const difference = featureSetDifference(before.manifest, after.manifest)
  return { kind: 'found', json: difference, text: differenceText(difference), code: difference.equal ? 0 : 1 }
}

async function check(project: LoadedProject, { manifest: { hash }, manifest }: Definitions): Promise<Answer> {
  const { compiledPath: path } = project
  const freshness = await compiledFreshness(manifest, committedFile(project))
  const isFresh = freshness === 'fresh'
  const run = compileCommand(project)
  const json = { path, freshness, hash, run: isFresh ? null : run }
  const wrong = freshness === 'missing' ? 'is not here' : 'is not what the definitions say'
  const text = isFresh ? `${path} is fresh: ${hash.slice(0, 12)}\n` : `${path} ${wrong}: run ${run}\n`
  return { kind: 'found', json, text, code: isFresh ? 0 : 1 }
}
