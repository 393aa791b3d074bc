/** A function's configuration space, and the registers in it that routing and others ask for. */
import type { ConfigLayout } from './config-layout.ts'
import type { FunctionDefinition, FunctionKind } from './definition.ts'
import { EXPRESS, PM } from './formats/capabilities.ts'
import { BUS_NUMBERS, COMMAND_STATUS } from './formats/header.ts'

const { BME } = COMMAND_STATUS.f
const { ARI_FORWARDING } = EXPRESS.DEVICE_CONTROL_2.f

export class FunctionRegisters {
  readonly definition: FunctionDefinition
  readonly layout: ConfigLayout
  /** Configuration space as dwords. */
  readonly words: Uint32Array

  /** @param words of the size that the layout has: they get their values of power-on. */
  constructor(definition: FunctionDefinition, layout: ConfigLayout, words: Uint32Array) {
    this.definition = definition
    this.layout = layout
    this.words = words
    layout.initialize(words)
  }

  get kind(): FunctionKind {
    return this.definition.kind
  }

  /** A dword of configuration space; `offset` is a multiple of 4. Beyond the end: all ones. */
  readConfig(offset: number): number {
    return this.words[offset >>> 2] ?? 0xffff_ffff
  }

  get isExpress(): boolean {
    return this.layout.express !== 0
  }

  /** "PowerState": 0 for D0 and for a function without power management. */
  get powerState(): number {
    const { pm } = this.layout
    return pm === 0 ? 0 : this.words[(pm + PM.CONTROL.offset) >>> 2]! & PM.CONTROL.f.STATE.mask
  }

  get busMasterEnabled(): boolean {
    return (this.words[COMMAND_STATUS.at]! & BME.mask) !== 0
  }

  /** ACS Control, the bits of `ACS_BIT`; 0 without the capability. */
  get acsControl(): number {
    const { acs } = this.layout
    return acs === 0 ? 0 : this.words[(acs + 4) >>> 2]! >>> 16
  }

  /** Bit of the ACS Egress Control Vector for a port or function number. */
  egressBlocked(number: number): boolean {
    const word = this.words[(this.layout.acs + 8 + ((number >>> 5) << 2)) >>> 2] ?? 0
    return (word & (1 << (number & 31))) !== 0
  }

  /** "Port Number" of Link Capabilities. */
  get portNumber(): number {
    const { express } = this.layout
    return express === 0 ? 0 : this.words[(express + EXPRESS.LINK_CAPABILITIES.offset) >>> 2]! >>> 24
  }

  get ariForwarding(): boolean {
    const { express } = this.layout
    if (express === 0) return false
    return (this.words[(express + EXPRESS.DEVICE_CONTROL_2.offset) >>> 2]! & ARI_FORWARDING.mask) !== 0
  }

  get secondaryBus(): number {
    return (this.words[BUS_NUMBERS.at]! >>> 8) & 0xff
  }

  get subordinateBus(): number {
    return (this.words[BUS_NUMBERS.at]! >>> 16) & 0xff
  }
}
