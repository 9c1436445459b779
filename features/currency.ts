/**
 * The currencies of ISO 4217 that have amounts, by the digits of their minor unit: list one of the maintenance agency
 * (SIX), published 2024-06-25, and XCG, which replaced ANG in 2025. Codes withdrawn since then stay: history has them.
 * Metals, funds without minor units and codes for tests are left out.
 */
const codesByDigits = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF',
  2:
    'AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD ' +
    'CAD CDF CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL ' +
    'GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD ' +
    'LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN ' +
    'PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB ' +
    'TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG',
  3: 'BHD IQD JOD KWD LYD OMR TND',
  4: 'CLF UYW',
} as const

const digitsByCode: ReadonlyMap<string, number> = new Map(
  Object.entries(codesByDigits).flatMap(([digits, codes]) =>
    codes.split(' ').map((code) => [code, Number(digits)] as const),
  ),
)

export const currencyCodes: readonly string[] = [...digitsByCode.keys()].sort()

/** How many digits a currency's minor unit has: cents are 2, a yen has none, a dinar's fils are 3. */
export function minorDigits(code: string): number {
  const digits = digitsByCode.get(code)
  if (digits === undefined) throw new Error(`"${code}" is no currency of ISO 4217`)
  return digits
}

/** Minor units in one unit of the currency. */
export function minorUnits(code: string): number {
  return 10 ** minorDigits(code)
}
