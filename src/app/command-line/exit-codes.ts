/** 0 done and well, 1 failed or found something wrong, 2 called wrongly or misconfigured. */
export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const
