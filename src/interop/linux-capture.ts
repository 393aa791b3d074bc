/** Captures: a folder with what a running Linux machine shows of itself, or one file of lspci output. */
import type { TopologyDocument } from '../platform/index.ts'
import { type CaptureFiles, readCaptureFiles } from './capture-files.ts'
import type { ImportedCapture } from './captured-facts.ts'
import { importMachine } from './captured-machine.ts'
import { readLspci } from './lspci/read.ts'

/** The topology of a capture folder, or of one file of lspci output. See {@link importCapture}. */
export const readCapture = (path: string): TopologyDocument => importCapture(path).topology

/**
 * Reads a capture folder, or one file of lspci output with bytes, packed or not.
 * Throws `notFound`, `malformedInput`, or `invalidDocument` for a machine that the schema cannot express.
 */
export function importCapture(path: string): ImportedCapture {
  return importFiles(readCaptureFiles(path))
}

export function importFiles(files: CaptureFiles): ImportedCapture {
  const notes: string[] = []
  return importMachine({ ...files, functions: readLspci(files.dump, files.details, notes) }, notes)
}
