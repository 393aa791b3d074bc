/** What of finding dirty pages is set up in the VMCS of a virtual processor. */
import { NorthbridgeError, PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import { SECONDARY } from '../../vmx/formats/controls.ts'
import { MSR } from '../../vmx/formats/msrs.ts'
import type { Word64 } from '../../vmx/formats/operations.ts'
import { VMCS } from '../../vmx/formats/vmcs.ts'
import type { HostProcessor } from '../host-processor.ts'
import type { Vmcs } from '../vmcs.ts'

/** IA32_VMX_EPT_VPID_CAP, bit 21: accessed and dirty flags for EPT. */
const ACCESSED_DIRTY = 1 << 21
/** "PML index": the log has 512 entries and is written downward. */
const LAST_ENTRY = 511
const EMPTY = 0xffff

export class VcpuTracking {
  readonly #vmcs: Vmcs
  /** Page of the log, while there is one. */
  #log: PageNumber | undefined

  constructor(vmcs: Vmcs) {
    this.#vmcs = vmcs
  }

  /** Throws `unsupported`. */
  check(processor: HostProcessor, log: boolean): void {
    const [capability] = processor.readMsr(MSR.IA32_VMX_EPT_VPID_CAP)
    if ((capability & ACCESSED_DIRTY) === 0) {
      throw new NorthbridgeError(
        'unsupported',
        `logical processor ${processor.number} keeps no dirty flags in EPT`,
      )
    }
    if (log) this.#vmcs.requireControls('secondary', SECONDARY.enablePml)
  }

  /** Follows with INVEPT: who translates by what was cached sets no flags. */
  set(pointer: Word64, log: PageNumber | undefined): void {
    const vmcs = this.#vmcs
    vmcs.write(VMCS.eptPointer, ...pointer)
    if (log !== undefined || this.#log !== undefined)
      vmcs.setControls('secondary', SECONDARY.enablePml, log !== undefined)
    this.#log = log
    if (log === undefined) return
    const address = log * PAGE_SIZE
    vmcs.write(VMCS.pmlAddress, address % 2 ** 32, Math.floor(address / 2 ** 32))
    vmcs.write(VMCS.pmlIndex, LAST_ENTRY)
  }

  /** Reads the log and empties it. */
  drain(machine: MachinePort, tell: (page: PageNumber) => void): void {
    if (this.#log === undefined) return
    const index = this.#vmcs.read(VMCS.pmlIndex)
    const first = index === EMPTY ? 0 : index + 1
    for (let entry = first; entry <= LAST_ENTRY; entry++) {
      const at = this.#log * PAGE_SIZE + entry * 8
      tell(machine.readDword(at + 4) * 2 ** 20 + (machine.readDword(at) >>> 12))
    }
    if (first <= LAST_ENTRY) this.#vmcs.write(VMCS.pmlIndex, LAST_ENTRY)
  }
}
