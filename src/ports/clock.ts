export type Clock = { nowMs(): number }
