/** What AMD-V adds to a logical processor: the host's registers while a guest runs, the global interrupt flag. */
import type { Saved } from '../../core/index.ts'
import { GUEST_STATE_WORDS } from '../vmcs-layout.ts'

export class SvmState {
  /** A guest runs under a VMCB. */
  guest = false
  /** The global interrupt flag: clear from #VMEXIT until STGI. */
  globalInterrupts = true
  /** Physical page of the VMCB in use. */
  vmcbPage = 0
  asid = 0
  nested = false
  /** Page of the nested page table's root. */
  nestedRoot = 0
  /** RFLAGS.IF of the host, which masks physical interrupts while V_INTR_MASKING is set. */
  hostInterrupts = false
  /** MSR VM_HSAVE_PA, page. */
  hostSavePage = 0
  readonly host = new Uint32Array(GUEST_STATE_WORDS)
  /** What an exit during event delivery leaves in EXITINTINFO: type, vector, valid bit; error code. */
  readonly vectoring = new Uint32Array(2)

  reset(): void {
    this.guest = false
    this.globalInterrupts = true
    this.vmcbPage = 0
    this.asid = 0
    this.nested = false
    this.nestedRoot = 0
    this.hostInterrupts = false
    this.hostSavePage = 0
    this.host.fill(0)
    this.vectoring.fill(0)
  }

  save(): Saved {
    const { guest, globalInterrupts, vmcbPage, asid, nested, nestedRoot, hostInterrupts, hostSavePage } = this
    const plain = {
      guest,
      globalInterrupts,
      vmcbPage,
      asid,
      nested,
      nestedRoot,
      hostInterrupts,
      hostSavePage,
    }
    return { version: 1, ...plain, host: this.host.slice(), vectoring: this.vectoring.slice() }
  }

  load(saved: Saved): void {
    const {
      host,
      vectoring,
      version: _version,
      ...plain
    } = saved as unknown as SvmState & { version: number }
    Object.assign(this, plain)
    this.host.set(host)
    this.vectoring.set(vectoring)
  }
}
