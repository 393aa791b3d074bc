/** A guest under APIC virtualization, for the cases of vmx_tests.c on it. */
import { hex } from '../../core/index.ts'
import { LOCAL_APIC, SVR, XAPIC_BASE } from '../../interrupts/formats/local-apic.ts'
import { PIN_BASED, PRIMARY, SECONDARY } from '../../vmx/formats/controls.ts'
import { exitReasonName } from '../../vmx/formats/exit-reasons.ts'
import type { Operation, OperationResult } from '../../vmx/formats/operations.ts'
import type { ProcessorCase } from './case.ts'
import {
  AT,
  PRIMARY as BASE_PRIMARY,
  SECONDARY as BASE_SECONDARY,
  EXIT,
  GUEST,
  PIN,
  VmxMachine,
} from './machine.ts'

export const NOTIFICATION_VECTOR = 0xf2
const DESCRIPTOR = 0xf040
const ACKNOWLEDGE_ON_EXIT = 1 << 15
/** Guest-physical address of the APIC-access page. */
export const ACCESS_PAGE = GUEST.data

export interface ApicvControls {
  readonly tprShadow?: boolean
  readonly apicAccesses?: boolean
  readonly x2apic?: boolean
  readonly registers?: boolean
  readonly delivery?: boolean
  readonly posted?: boolean
  /** Secondary controls are activated; default true. */
  readonly secondary?: boolean
  /** The MSR bitmaps let the x2APIC registers through. */
  readonly passMsrs?: boolean
}

const LAST_X2APIC_MSR = 0x8ff
const WRITE_MAP = 0x800

export class ApicvBench {
  readonly machine = new VmxMachine()
  difference: string | undefined

  constructor() {
    const svr = XAPIC_BASE + LOCAL_APIC.SVR
    this.machine.run({ op: 'write', address: svr, width: 4, value: [SVR.enable | 0xff, 0] })
  }

  configure({
    tprShadow = true,
    apicAccesses = false,
    x2apic = false,
    registers = false,
    delivery = false,
    posted = false,
    secondary = true,
    passMsrs = false,
  }: ApicvControls): void {
    const { machine } = this
    const bit = (on: boolean, control: number): number => (on ? control : 0)
    const primary =
      (BASE_PRIMARY & ~PRIMARY.activateSecondaryControls) |
      bit(secondary, PRIMARY.activateSecondaryControls) |
      bit(tprShadow, PRIMARY.useTprShadow) |
      bit(passMsrs, PRIMARY.useMsrBitmaps)
    machine.set('primaryProcessorBasedControls', primary >>> 0)
    machine.set(
      'secondaryProcessorBasedControls',
      BASE_SECONDARY |
        bit(apicAccesses, SECONDARY.virtualizeApicAccesses) |
        bit(x2apic, SECONDARY.virtualizeX2apicMode) |
        bit(registers, SECONDARY.apicRegisterVirtualization) |
        bit(delivery, SECONDARY.virtualInterruptDelivery),
    )
    machine.set('pinBasedControls', PIN | bit(posted, PIN_BASED.processPostedInterrupts))
    machine.set('exitControls', EXIT | bit(posted, ACKNOWLEDGE_ON_EXIT))
    machine.set('virtualApicAddress', AT.virtualApic)
    machine.set('apicAccessAddress', AT.guest + ACCESS_PAGE)
    machine.set('postedInterruptDescriptorAddress', DESCRIPTOR)
    machine.set('postedInterruptNotificationVector', NOTIFICATION_VECTOR)
    machine.set('msrBitmaps', AT.msrBitmaps)
    for (let word = 0x800 / 8; word <= LAST_X2APIC_MSR / 8; word += 4) {
      for (const map of [0, WRITE_MAP]) {
        machine.map.writeDword(AT.msrBitmaps + map + (word & ~3), passMsrs ? 0 : 0xffff_ffff)
      }
    }
  }

  run(operation: Operation): OperationResult {
    return this.machine.run(operation)
  }

  /** A register of the virtual-APIC page. */
  register(offset: number): number {
    return this.machine.map.readDword(AT.virtualApic + offset)
  }

  setRegister(offset: number, value: number): void {
    this.machine.map.writeDword(AT.virtualApic + offset, value >>> 0)
  }

  /** Whether a vector is in a set of the virtual-APIC page. */
  hasVector(bank: number, vector: number): boolean {
    return ((this.register(bank + (vector >>> 5) * 16) >>> (vector & 31)) & 1) === 1
  }

  requestVector(vector: number): void {
    const offset = LOCAL_APIC.IRR + (vector >>> 5) * 16
    this.setRegister(offset, this.register(offset) | (1 << (vector & 31)))
  }

  /** What a unit or another processor does: PIR, ON, and the notification. */
  post(vector: number): void {
    const { map } = this.machine
    const at = DESCRIPTOR + (vector >>> 5) * 4
    map.writeDword(at, (map.readDword(at) | (1 << (vector & 31))) >>> 0)
    map.writeDword(DESCRIPTOR + 32, map.readDword(DESCRIPTOR + 32) | 1)
    this.machine.send(0, NOTIFICATION_VECTOR)
  }

  /** PIR word and ON: all that processing must leave 0. */
  get posted(): number {
    const { map } = this.machine
    let all = map.readDword(DESCRIPTOR + 32) & 1
    for (let word = 0; word < 8; word++) all |= map.readDword(DESCRIPTOR + word * 4)
    return all
  }

  /** Name and qualification of a VM exit, or the outcome and, if it has one, the vector. */
  describe(result: OperationResult): string {
    const { outcome, vector } = result
    if (outcome === 'vmExit') {
      const reason = this.machine.get('exitReason')[0]
      return `${exitReasonName(reason)} ${hex(this.machine.get('exitQualification')[0])}`
    }
    return vector >= 0 ? `${outcome} ${vector}` : outcome
  }

  /** The same for an operation, and for the next one: trap-like exits come before that. */
  effect(operation: Operation): string {
    const result = this.run(operation)
    if (result.outcome !== 'done') return this.describe(result)
    const value = result.low
    const next = this.run({ op: 'nop' })
    return next.outcome === 'done' ? `done ${hex(value)}` : this.describe(next)
  }

  same(what: string, actual: number | boolean | string, expected: number | boolean | string): void {
    if (actual === expected) return
    this.difference ??= `${what}: ${String(actual)} instead of ${String(expected)}`
  }
}

export const apicvCase = (
  id: string,
  test: string,
  states: string,
  act: (bench: ApicvBench) => void,
): ProcessorCase => ({
  id: `apicv.${id}`,
  source: `x86/vmx_tests.c ${test}`,
  states,
  run: () => {
    const bench = new ApicvBench()
    act(bench)
    return bench.difference
  },
})
