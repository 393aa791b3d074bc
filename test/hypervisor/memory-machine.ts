/** A machine that has memory and nothing else, for software that only builds tables. */

import { PageAllocator } from '../../src/host/index.ts'
import { PhysicalMemory } from '../../src/memory/index.ts'
import type { MachinePort } from '../../src/platform/machine-port.ts'

export function memoryMachine(mebibytes: number) {
  const size = mebibytes * 2 ** 20
  const memory = new PhysicalMemory([{ base: 0, size }])
  const unused = (): never => {
    throw new Error('this machine has memory only')
  }
  const machine: MachinePort = {
    get board() {
      return unused()
    },
    processors: [],
    readDword: address => memory.readDword(address) ?? 0xffff_ffff,
    writeDword: (address, value, lanes) => void memory.writeDword(address, value, lanes),
    readBytes: (address, target, start, length) => memory.read(address, target, start, length),
    writeBytes: (address, source, start, length) => memory.write(address, source, start, length),
    zeroPages: (first, count) => memory.zeroPages(first, count),
    inPort: unused,
    outPort: unused,
  }
  // The first 16 MiB are not handed out, as on a real machine.
  const allocator = new PageAllocator([{ first: 4096, pages: size / 4096 - 4096 }])
  return { memory, machine, allocator }
}
