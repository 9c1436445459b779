/** The folder with the JavaScript of today's sources, built when there is none. */
export declare function ensureBuild(options?: {
  readonly tests?: boolean
  readonly project?: string | null
}): Promise<string>
