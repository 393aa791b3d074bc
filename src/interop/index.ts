export type { ImportedCapture } from './captured-facts.ts'
export type { ExportedFile } from './exported-file.ts'
export {
  detectFormat,
  EXPORT_FORMATS,
  type ExportFormat,
  exportMachine,
  IMPORT_FORMATS,
  type ImportFormat,
  importMachineFrom,
  importText,
  TEXT_FORMATS,
} from './formats.ts'
export { importCapture, readCapture } from './linux-capture.ts'
export { type ListedFunction, parseLspci } from './lspci/dump.ts'
export type { ExportedMachine } from './machine-view.ts'
export { LINKTYPE_ETHERNET, packetAt, readPcap, writePcap } from './pcap/index.ts'
