/** Files that ship with the package beside its code: data sheets, topologies, workloads. */

/** The code lies two folders below the package's top, as sources (`src/core/`) and as it is packed (`dist/code/`). */
const TOP = new URL('../../', import.meta.url)

/** `path` is relative to the package's top; that of a folder ends in `/`. */
export const packageFile = (path: string): URL => new URL(path, TOP)

/** A module of the package that a thread begins with: its path below `src/`, without extension. */
export const packageModule = (path: string): URL =>
  packageFile(import.meta.url.endsWith('.ts') ? `src/${path}.ts` : `dist/${path}.js`)
