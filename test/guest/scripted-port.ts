/**
 * A guest port without a hypervisor: one PCI function in slot 1, RAM, a local APIC that only takes notes. It answers
 * each operation by the book and keeps what the guest did.
 */
import { pause, type Software } from '../../src/engine/index.ts'
import type { GuestPort, GuestResult } from '../../src/guest/index.ts'
import type { Operation } from '../../src/vmx/formats/operations.ts'

export interface ScriptedFunction {
  /** Size masks of the six BAR registers, and their read-only type bits. */
  readonly barMasks: readonly number[]
  readonly barTypes: readonly number[]
  /** Capability dwords by offset; the list starts at 40h. */
  readonly capabilities: Readonly<Record<number, number>>
}

const NOTHING = {
  outcome: 'done',
  low: 0,
  high: 0,
  eax: 0,
  ebx: 0,
  ecx: 0,
  edx: 0,
  vector: -1,
  error: 0,
} as const

export class ScriptedPort implements GuestPort {
  readonly memory = new Map<number, number>()
  readonly config = new Map<number, number>()
  readonly log: string[] = []
  readonly #fn: ScriptedFunction | undefined
  readonly #x2apic: boolean
  #selected = 0
  /** Whether the function is in its slot. */
  present = true
  changed = 0
  removing = 0

  constructor(fn?: ScriptedFunction, x2apic = true) {
    this.#fn = fn
    this.#x2apic = x2apic
  }

  /** Every operation has to wait. */
  attempt(): undefined {}

  *execute(operation: Operation): Software<GuestResult> {
    yield* pause()
    return { ...NOTHING, ...this.#answer(operation) }
  }

  #answer(operation: Operation): Partial<GuestResult> {
    switch (operation.op) {
      case 'cpuid':
        return { ecx: this.#x2apic ? 1 << 21 : 0 }
      case 'rdmsr':
        return { low: operation.msr === 0x1b ? 0xfee0_0900 : 5 }
      case 'wrmsr':
        this.log.push(`wrmsr ${operation.msr.toString(16)} ${operation.value[0].toString(16)}`)
        return {}
      case 'in':
        return { low: this.#in(operation.port) }
      case 'out':
        this.#out(operation.port, operation.width, operation.value)
        return {}
      case 'read':
        return {
          low: this.memory.get(operation.address) ?? 0,
          high: operation.width === 8 ? (this.memory.get(operation.address + 4) ?? 0) : 0,
        }
      case 'write':
        this.memory.set(operation.address, operation.value[0])
        if (operation.width === 8) this.memory.set(operation.address + 4, operation.value[1])
        return {}
      default:
        this.log.push(JSON.stringify(operation))
        return {}
    }
  }

  #in(port: number): number {
    if (port === 0xae00) {
      const bits = this.changed
      this.changed = 0
      return bits
    }
    if (port === 0xae04) return this.removing
    if (port !== 0xcfc || this.#fn === undefined || !this.present || this.#selected >>> 11 !== 0x10_0001)
      return 0xffff_ffff
    const offset = this.#selected & 0xfc
    if (offset === 0) return 0x10ca_8086
    if (offset === 0x34) return 0x40
    if (offset >= 0x10 && offset <= 0x24) {
      const index = (offset - 0x10) / 4
      const stored = this.config.get(offset) ?? 0
      return ((stored & this.#fn.barMasks[index]!) | this.#fn.barTypes[index]!) >>> 0
    }
    return this.#fn.capabilities[offset] ?? 0
  }

  #out(port: number, width: number, value: number): void {
    if (port === 0xcf8) {
      this.#selected = value
    } else if (port === 0xae08) {
      this.removing &= ~value
      this.log.push(`eject ${value.toString(16)}`)
    } else {
      const offset = (this.#selected & 0xfc) + port - 0xcfc
      this.config.set(offset, value)
      if (offset < 0x10 || offset > 0x24)
        this.log.push(`config ${offset.toString(16)}/${width} ${value.toString(16)}`)
    }
  }
}
