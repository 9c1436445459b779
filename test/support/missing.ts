/** What some suites need and not every machine has. */
export const requirements = ['Redis', 'Kafka', 'Python'] as const
export type Requirement = (typeof requirements)[number]

/** Carries what `npm test` found missing, and why, to the test processes: JSON, reasons by requirement. */
export const missingVariable = 'TEST_MISSING'

/** Why a requirement is known to be missing; null when it is there, or when nobody looked. */
export function knownMissing(requirement: Requirement): string | null {
  const text = process.env[missingVariable]
  if (text === undefined || text === '') return null
  const reasons = JSON.parse(text) as Partial<Record<Requirement, string>>
  return reasons[requirement] ?? null
}
