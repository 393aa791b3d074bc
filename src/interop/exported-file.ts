/** What an export consists of: files below a folder, as data. Faces write them to disk, or print the only one. */

/** `path` is relative, with `/`. */
export type ExportedFile =
  | { readonly path: string; readonly text: string }
  | { readonly path: string; readonly bytes: Uint8Array }
  /** A symbolic link to `link`, relative to the folder that the link is in. */
  | { readonly path: string; readonly link: string }

/** The text by which a link at `from` leads to `to`; both relative to the same root. */
export function linkText(from: string, to: string): string {
  const start = from.split('/').slice(0, -1)
  const end = to.split('/')
  let same = 0
  while (same < start.length && same < end.length && start[same] === end[same]) same++
  return [...start.slice(same).map(() => '..'), ...end.slice(same)].join('/')
}
