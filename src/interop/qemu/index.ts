/** QEMU's arguments: read into a topology document, and written from one. */
import { readQemuInput } from './input.ts'
import { MachineBuilder, type QemuMachine } from './machine.ts'

export { deviceSheets } from './device-sheet.ts'
export { qemuArguments, qemuFiles } from './export.ts'
export { type HotAdd, type QemuInput, readQemuInput } from './input.ts'
export { MachineBuilder, type QemuMachine } from './machine.ts'

/** Reads a file of arguments, a capture's `topology.json`, or a capture folder. */
export function importQemu(path: string): QemuMachine {
  const input = readQemuInput(path)
  const builder = new MachineBuilder(input.line, input.addedAcs)
  builder.build()
  return builder.topology(input.name, input.description, input.kernel)
}
