/** The conformance rows' machine, one level up: the processor that a guest hypervisor finds. */
import { AT, READY_FIELDS, writeTables } from '../../src/conformance/vmx/machine.ts'
import type { RowMachine } from '../../src/conformance/vmx/step-case.ts'
import type { GuestResult, GuestSoftware, VcpuPort } from '../../src/hypervisor/index.ts'
import { ENTRY_FAILURE } from '../../src/vmx/formats/exit-reasons.ts'
import { FEATURE_CONTROL, MSR } from '../../src/vmx/formats/msrs.ts'
import type { Operation, OperationResult, Word64 } from '../../src/vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../../src/vmx/formats/vmcs.ts'
import type { ProcessorCapabilities } from '../../src/vmx/index.ts'
import { bareHost } from './bare-host.ts'

const VM = 'l1'
const MEMORY_MIB = 20
const PAGE = 4096

/** The ready guest's tables by page. */
const TABLES = new Map<number, Buffer>()
writeTables((address, word) => {
  const page = Math.floor(address / PAGE)
  const bytes = TABLES.get(page) ?? Buffer.alloc(PAGE)
  bytes.writeUInt32LE(word >>> 0, address % PAGE)
  TABLES.set(page, bytes)
})

export interface L1Options {
  readonly vmcsShadowing?: boolean
  readonly processors?: number
  readonly capabilities?: Partial<ProcessorCapabilities>
}

export class L1Machine implements RowMachine {
  readonly parts: ReturnType<typeof bareHost>
  readonly #port: VcpuPort
  #launched = false

  constructor({ vmcsShadowing = false, processors = 1, capabilities = {} }: L1Options = {}) {
    const ports: VcpuPort[] = []
    const silent = (port: VcpuPort): GuestSoftware => {
      ports.push(port)
      return { *start() {}, *interrupt() {}, save: () => ({ version: 1 }), load() {} }
    }
    this.parts = bareHost(processors, () => silent, { vmwriteAnyField: true, ...capabilities })
    this.parts.run(
      this.parts.hypervisor.createVm({
        name: VM,
        vcpus: 1,
        memoryMiB: MEMORY_MIB,
        nested: true,
        vmcsShadowing,
      }),
    )
    this.#port = ports[0]!
    const { lock, vmxOutsideSmx } = FEATURE_CONTROL
    this.run({ op: 'wrmsr', msr: MSR.IA32_FEATURE_CONTROL, value: [lock | vmxOutsideSmx, 0] })
    const revision = this.run({ op: 'rdmsr', msr: MSR.IA32_VMX_BASIC }).low & 0x7fff_ffff
    for (const region of [AT.vmxon, AT.vmcs, AT.otherVmcs]) this.map.writeDword(region, revision)
    this.run({ op: 'vmxon', address: AT.vmxon })
    this.run({ op: 'vmptrld', address: AT.vmcs })
    for (const [name, value] of READY_FIELDS) this.set(name, value)
    for (const [page, bytes] of TABLES) this.parts.hypervisor.writeGuest(VM, page * PAGE, bytes)
  }

  readonly map = {
    readDword: (address: number): number =>
      Buffer.from(this.parts.hypervisor.readGuest(VM, address, 4)).readUInt32LE(),
    writeDword: (address: number, value: number): void => {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32LE(value >>> 0)
      this.parts.hypervisor.writeGuest(VM, address, bytes)
    },
  }
  readonly cpu = {
    takeInterrupt: (): number => {
      throw new Error('the hypervisor delivers interrupts')
    },
  }

  /** Both have the same members where a row looks. */
  run(operation: Operation): OperationResult {
    const result: GuestResult = this.parts.run(this.#port.execute(operation))
    return result
  }

  set(name: VmcsFieldName, value: number | Word64): void {
    const words: Word64 = typeof value === 'number' ? [value, 0] : value
    const { outcome, error } = this.run({ op: 'vmwrite', field: VMCS[name], value: words })
    if (outcome !== 'done') throw new Error(`VMWRITE of ${name}: ${outcome} ${error}`)
  }

  get(name: VmcsFieldName): Word64 {
    const { low, high } = this.run({ op: 'vmread', field: VMCS[name] })
    return [low, high]
  }

  enter(): OperationResult {
    const result = this.run({ op: this.#launched ? 'vmresume' : 'vmlaunch' })
    this.#launched ||=
      result.outcome === 'done' || (result.outcome === 'vmExit' && this.get('exitReason')[0] < ENTRY_FAILURE)
    return result
  }

  send(): void {
    throw new Error('no bus reaches a guest')
  }

  advance(nanoseconds: number): void {
    const { engine } = this.parts
    const until = engine.now + nanoseconds
    while (engine.now < until && engine.advance());
  }

  capability(msr: number): Word64 {
    const { low, high } = this.run({ op: 'rdmsr', msr })
    return [low, high]
  }

  /** L1's local APIC, as its kernel would switch it on. */
  enableApic(): void {
    this.run({ op: 'write', address: 0xfee0_00f0, width: 4, value: [0x1ff, 0] })
  }

  /** A device of the virtual machine interrupts. */
  interrupt(vector: number): void {
    this.parts.run(this.parts.hypervisor.interruptVcpu(VM, 0, vector))
  }

  /** VM exits so far by reason, of L1 and L2. */
  get exits() {
    return this.parts.hypervisor.vcpu(VM, 0).exitsByReason
  }

  get nested() {
    return this.parts.hypervisor.vcpu(VM, 0).nested!
  }
}
