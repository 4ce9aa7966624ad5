import { createRequire } from 'node:module'

/** The version in package.json. It finds the file by the package's own name, from the sources as from `dist/`. */
export const version: string = (createRequire(import.meta.url)('penstock/package.json') as { version: string }).version
