import { z } from 'zod'

const folder = '[a-z0-9][a-z0-9._-]{0,63}'
const folderName = z.string().regex(new RegExp(`^${folder}$`), 'must be 1 to 64 of a-z 0-9 . _ -')

/** Names one model: `models/<name>/<version>/`. What a version holds never changes. */
export const modelFolder = z.object({ name: folderName, version: folderName })
/** A model, and the policy it decides with: `policies/<policy>.json` beside it, or its manifest's thresholds. */
export const modelReference = modelFolder.extend({ policy: folderName.optional() })
/** What {@link parseModelName} reads. */
export const modelPattern = new RegExp(`^${folder}/${folder}(@${folder})?$`)
export type ModelReference = z.infer<typeof modelReference>

/** All of them run on every scored event, one after the other. */
export const shadowsMax = 8

/** The champion decides; shadows' scores are only logged. */
export const rolloutSchema = z.object({ champion: modelReference, shadows: z.array(modelReference).max(shadowsMax) })
export type Rollout = z.infer<typeof rolloutSchema>

/** An entry of the list of rollouts, which only grows. Generation 1 is what `models/registry.json` named. */
export const generationSchema = rolloutSchema.extend({
  /** Its place in the list, from 1 on. */
  number: z.number().int().min(1),
  reason: z.string().max(400),
  timeMs: z.number().int(),
  /** Of a rollback: the generation whose models these are. */
  restores: z.number().int().min(1).optional(),
})
export type Generation = z.infer<typeof generationSchema>

/** This generation scores a partition from `offset` on, until that of the next. */
export interface Activation {
  readonly offset: number
  readonly generation: Generation
}

/** Why a processor refused a generation. */
export const refusalSchema = z.object({
  code: z.string(),
  detail: z.string(),
  timeMs: z.number().int(),
})
export type Refusal = z.infer<typeof refusalSchema>

export type ModelChange =
  { readonly kind: 'promote' | 'shadow' | 'retire'; readonly model: ModelReference } | { readonly kind: 'rollback' }

export type ChangeCode =
  | 'model_is_champion'
  | 'model_is_shadow'
  | 'model_not_serving'
  | 'too_many_shadows'
  | 'no_former_generation'
  | 'shadow_with_policy'

export type Changed =
  | { readonly kind: 'changed'; readonly rollout: Rollout; readonly restores: number | null }
  | { readonly kind: 'refused'; readonly code: ChangeCode; readonly detail: string }

/** `fraud/2`, or `fraud/2@3` with policy 3, as commands, events and columns spell it. */
export function modelName({ name, version, policy }: ModelReference): string {
  return policy === undefined ? `${name}/${version}` : `${name}/${version}@${policy}`
}

/** Null for what is no `<name>/<version>` or `<name>/<version>@<policy>`. */
export function parseModelName(text: string): ModelReference | null {
  const [model = '', policy, ...others] = text.split('@')
  const [name, version, ...rest] = model.split('/')
  const parsed = modelReference.safeParse({ name, version, ...(policy === undefined ? {} : { policy }) })
  return parsed.success && rest.length === 0 && others.length === 0 ? parsed.data : null
}

/**
 * The rollout after a change. `generations`: all, oldest first, at least one. `lost`: the numbers of those that were
 * refused and took effect nowhere; they are no base for anything. A rollback goes back to the generation before the
 * current one, and the next rollback goes back further.
 */
export function changed(generations: readonly Generation[], lost: ReadonlySet<number>, change: ModelChange): Changed {
  const kept = generations.filter(({ number }) => !lost.has(number))
  const current = kept.at(-1) ?? generations[0]
  if (current === undefined) return refused('no_former_generation', 'no processor has begun the list yet')
  if (change.kind === 'rollback') return rolledBack(generations, kept, current)
  const { model } = change
  const { champion, shadows } = current
  const others = shadows.filter((shadow) => !isSame(shadow, model))
  const to = (rollout: Rollout): Changed => ({ kind: 'changed', rollout, restores: null })
  switch (change.kind) {
    case 'promote':
      if (isSame(champion, model)) return refused('model_is_champion', `${modelName(model)} is the champion already`)
      return to({ champion: model, shadows: others })
    case 'shadow':
      if (model.policy !== undefined) return refused('shadow_with_policy', 'a shadow decides nothing: name no policy')
      if (isSame({ ...champion, policy: undefined }, model)) {
        return refused('model_is_champion', `${modelName(model)} is the champion`)
      }
      if (others.length < shadows.length) return refused('model_is_shadow', `${modelName(model)} is a shadow already`)
      if (shadows.length >= shadowsMax) return refused('too_many_shadows', `at most ${shadowsMax}: retire one first`)
      return to({ champion, shadows: [...shadows, model] })
    case 'retire':
      if (isSame(champion, model)) {
        return refused('model_is_champion', `${modelName(model)} is the champion: promote another one, or roll back`)
      }
      if (others.length === shadows.length) return refused('model_not_serving', `${modelName(model)} is no shadow`)
      return to({ champion, shadows: others })
  }
}

function rolledBack(generations: readonly Generation[], kept: readonly Generation[], current: Generation): Changed {
  // Where the newest one was refused everywhere, the current one still serves, and a rollback names it again.
  const isCurrentNewest = current.number === generations.at(-1)?.number
  const base = current.restores ?? current.number
  const former = isCurrentNewest ? kept.findLast(({ number }) => number < base) : current
  if (former === undefined) return refused('no_former_generation', `nothing comes before generation ${base}`)
  const { champion, shadows } = former
  return { kind: 'changed', rollout: { champion, shadows }, restores: former.restores ?? former.number }
}

export function isSame(left: ModelReference, right: ModelReference): boolean {
  return left.name === right.name && left.version === right.version && left.policy === right.policy
}

function refused(code: ChangeCode, detail: string): Changed {
  return { kind: 'refused', code, detail }
}
