/**
 * Logical processors and memory under a host kernel that has no devices: it takes the interrupts of its processors and
 * keeps count of them.
 */
import { drive, Engine, type Software } from '../../src/engine/index.ts'
import { guestHypervisor, guestKernel } from '../../src/guest/index.ts'
import { type HostKernel, PageAllocator } from '../../src/host/index.ts'
import { type GuestImage, Hypervisor } from '../../src/hypervisor/index.ts'
import { ApicBus, InterruptMessage } from '../../src/interrupts/index.ts'
import { PhysicalMemory, SystemAddressMap } from '../../src/memory/index.ts'
import type { MachinePort } from '../../src/platform/machine-port.ts'
import { LogicalProcessor, type ProcessorCapabilities } from '../../src/vmx/index.ts'

const PAGES = 64 * 256

export function bareHost(
  processorCount = 2,
  image: GuestImage = guestKernel,
  capabilities: Partial<ProcessorCapabilities> = {},
) {
  const engine = new Engine()
  const memory = new PhysicalMemory([{ base: 0, size: PAGES * 4096 }])
  const map = new SystemAddressMap(memory)
  const bus = new ApicBus()
  const ports = { in: () => 0xffff_ffff, out: () => {} }
  const processors = Array.from(
    { length: processorCount },
    (_, number) =>
      new LogicalProcessor({ number, apicId: number, capabilities }, { map, bus, ports, engine }),
  )
  const machine: MachinePort = {
    get board(): never {
      throw new Error('only firmware reads the board')
    },
    processors,
    readDword: address => map.readDword(address),
    writeDword: (address, value, lanes) => map.writeDword(address, value, lanes),
    readBytes: (address, target, start, length) => memory.read(address, target, start, length),
    writeBytes: (address, source, start, length) => memory.write(address, source, start, length),
    zeroPages: (first, count) => memory.zeroPages(first, count),
    inPort: () => 0xffff_ffff,
    outPort: () => {},
  }
  for (const processor of processors) {
    processor.execute({ op: 'write', address: 0xfee0_00f0, width: 4, value: [0x1ff, 0] })
    processor.execute({ op: 'sti' })
  }
  const taken: [number, number][] = []
  const interrupt = (number: number, vector: number): void => {
    taken.push([number, vector])
    processors[number]!.execute({ op: 'write', address: 0xfee0_00b0, width: 4, value: [0, 0] })
  }
  const host = {
    memory: new PageAllocator([{ first: 4096, pages: PAGES - 4096 }]),
    interrupt,
    // biome-ignore lint/correctness/useYield: nothing is plugged here
    *servePorts() {
      return false
    },
    // biome-ignore lint/correctness/useYield: nobody asks for pages here
    *answerPageRequests() {
      return 0
    },
    serviceInterrupts: () => {
      for (const processor of processors) {
        for (let vector = processor.takeInterrupt(); vector >= 0; vector = processor.takeInterrupt()) {
          interrupt(processor.number, vector)
        }
      }
    },
  } as unknown as HostKernel
  const hypervisor = new Hypervisor(machine, host, engine, { kernel: image, hypervisor: guestHypervisor })
  const run = <Result>(software: Software<Result>): Result => drive(software, engine.advance)
  /** A message to a host processor. */
  const send = (destination: number, vector: number): void => {
    const message = new InterruptMessage()
    message.destination = destination
    message.vector = vector
    bus.deliver(message)
  }
  return { engine, memory, host, hypervisor, processors, taken, run, send }
}
