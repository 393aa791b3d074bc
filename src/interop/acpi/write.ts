/** The tables of a machine as files, named like those of a capture folder. */
import type { ExportedFile } from '../exported-file.ts'
import type { MachineView } from '../machine-view.ts'

export const acpiFiles = ({ tables }: MachineView): ExportedFile[] =>
  [...tables].map(([signature, bytes]) => ({ path: `${signature.trim()}.bin`, bytes }))
