/** The machine port as this platform implements it: the door through which software reaches hardware. */
import { PAGE_SIZE, type PageNumber } from '../core/index.ts'
import type { PhysicalMemory, SystemAddressMap } from '../memory/index.ts'
import type { PortSpace } from '../vmx/index.ts'
import type { Board } from './board.ts'
import type { MachinePort, ProcessorPort } from './machine-port.ts'

const ALL_LANES = 0xffff_ffff

/** Inspection: hears of what software has written, to RAM and to registers. */
export interface WriteWatcher {
  wrote(address: number, length: number): void
}

export class Machine implements MachinePort {
  readonly board: Board
  readonly processors: readonly ProcessorPort[]
  readonly #map: SystemAddressMap
  readonly #memory: PhysicalMemory
  readonly #ports: PortSpace
  watcher: WriteWatcher | undefined = undefined

  constructor(board: Board, processors: readonly ProcessorPort[], map: SystemAddressMap, ports: PortSpace) {
    this.board = board
    this.processors = processors
    this.#map = map
    this.#memory = map.memory
    this.#ports = ports
  }

  readDword(address: number): number {
    return this.#map.readDword(address)
  }

  writeDword(address: number, value: number, lanes = ALL_LANES): void {
    this.#map.writeDword(address, value, lanes)
    this.watcher?.wrote(address, 4)
  }

  readBytes(address: number, target: Uint8Array, start = 0, length = target.length - start): boolean {
    return this.#memory.read(address, target, start, length)
  }

  writeBytes(address: number, source: Uint8Array, start = 0, length = source.length - start): boolean {
    const done = this.#memory.write(address, source, start, length)
    if (done) this.watcher?.wrote(address, length)
    return done
  }

  zeroPages(first: PageNumber, count: number): boolean {
    const done = this.#memory.zeroPages(first, count)
    if (done) this.watcher?.wrote(first * PAGE_SIZE, count * PAGE_SIZE)
    return done
  }

  inPort(port: number, width: number): number {
    return this.#ports.in(port, width)
  }

  outPort(port: number, width: number, value: number): void {
    this.#ports.out(port, width, value)
  }
}
