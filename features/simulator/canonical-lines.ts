import type { PaymentColumns } from './payments.ts'

/**
 * The data set as text: `second,customer,terminal,cents,fraud,scenario\n` per row, in blocks of about `blockChars`.
 * Two generators agree if the checksums of these lines do.
 */
export function* canonicalLines(columns: PaymentColumns, blockChars = 262_144): Generator<string> {
  const { second, customer, terminal, cents, fraud, scenario } = columns
  let block = ''
  for (let row = 0; row < columns.length; row += 1) {
    block += `${second[row]},${customer[row]},${terminal[row]},${cents[row]},${fraud[row]},${scenario[row]}\n`
    if (block.length >= blockChars) {
      yield block
      block = ''
    }
  }
  if (block !== '') yield block
}
