export { type ImportedCapture, importCapture, readCapture } from './linux-capture.ts'
export { type ListedFunction, parseLspci } from './lspci/dump.ts'
