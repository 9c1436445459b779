import { createRequire } from 'node:module'
import { assert } from '../../base/errors.ts'
import { isRecord } from '../../base/record.ts'

export type AnyFunction = (this: unknown, ...args: readonly unknown[]) => unknown

/** Loads files of kafkajs, whose version is pinned. */
export const requireKafkajs = createRequire(import.meta.url)

export function isFunction(value: unknown): value is AnyFunction {
  return typeof value === 'function'
}

/** Replaces a method of the class that a file of kafkajs exports, for the whole process. */
export function replaceMethod(
  file: string,
  method: string,
  replacement: (original: AnyFunction) => (this: never, ...args: never[]) => unknown,
): void {
  const found: unknown = requireKafkajs(`kafkajs/src/${file}`)
  assert(typeof found === 'function', `kafkajs has a class in ${file}`)
  const prototype: unknown = found.prototype
  assert(isRecord(prototype), `the class in ${file} of kafkajs has methods`)
  const original = prototype[method]
  assert(isFunction(original), `the class in ${file} of kafkajs has a method ${method}`)
  Object.assign(prototype, { [method]: replacement(original) })
}

/** Replaces what a file of kafkajs exports, for all files that load it from now on. */
export function replaceModule(file: string, replacement: (original: AnyFunction) => unknown): void {
  const path = `kafkajs/src/${file}`
  const original: unknown = requireKafkajs(path)
  assert(isFunction(original), `kafkajs has a function in ${file}`)
  const loaded = requireKafkajs.cache[requireKafkajs.resolve(path)]
  assert(loaded !== undefined, `${file} is loaded`)
  loaded.exports = replacement(original)
}
