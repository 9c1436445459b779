export declare const arrows: Readonly<Record<string, readonly string[]>>
export declare const clients: Readonly<Record<string, string>>
export declare const pureFolders: readonly string[]
export declare const purePackages: readonly string[]
export declare const walls: Readonly<Record<string, readonly string[]>>
