const dayMs = 86_400_000
/** Days differ in many digits, so that a loop of a few thousand seeds from here does not meet yesterday's. */
const stride = 7_919

/**
 * Where a randomised test begins: one seed a day, so that every run of a day, here and in CI, tries the same cases and
 * every day tries others. `TEST_SEED` repeats a failure, whose message says the seed.
 */
export const testSeed = Number(process.env['TEST_SEED'] ?? (Math.floor(Date.now() / dayMs) * stride) % 1_000_000_000)
