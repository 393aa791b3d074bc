/** MSI-X and MSI of one function: what it offers, and programming messages into it. */
import { assert, get } from '../../core/index.ts'
import { CAPABILITY, COMMAND_STATUS, MSI, MSI_X, MSI_X_ENTRY, msiLayout } from '../../pcie/formats/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import type { MsiLayout, MsixLayout } from '../types.ts'
import type { HostPciFunction } from './pci-function.ts'

/** Address and data that a function is to write. */
export interface Message {
  readonly addressLow: number
  readonly addressHigh: number
  readonly data: number
}

export function msixOf(fn: HostPciFunction): MsixLayout | undefined {
  const at = fn.capability(CAPABILITY.MSI_X)
  if (at === undefined) return undefined
  const table = fn.config.read(at + MSI_X.TABLE.offset)
  const pba = fn.config.read(at + MSI_X.PBA.offset)
  return {
    count: fn.config.get(at, MSI_X.CONTROL, MSI_X.CONTROL.f.TABLE_SIZE) + 1,
    tableBar: get(MSI_X.TABLE.f.BIR, [table]),
    tableOffset: (table & MSI_X.TABLE.f.OFFSET.mask) >>> 0,
    pbaBar: get(MSI_X.PBA.f.BIR, [pba]),
    pbaOffset: (pba & MSI_X.PBA.f.OFFSET.mask) >>> 0,
  }
}

export function msiOf(fn: HostPciFunction): MsiLayout | undefined {
  const capability = fn.capability(CAPABILITY.MSI)
  if (capability === undefined) return undefined
  const { f } = MSI.CONTROL
  return {
    capability,
    count: 2 ** Math.min(fn.config.get(capability, MSI.CONTROL, f.MMC), 5),
    is64: fn.config.get(capability, MSI.CONTROL, f.C64) === 1,
    maskable: fn.config.get(capability, MSI.CONTROL, f.PVM) === 1,
  }
}

/** "Interrupt Disable": Linux sets it with message-signalled interrupts, and clears it with them. */
function disableInterruptPin(fn: HostPciFunction, disabled: boolean): void {
  fn.config.set(0, COMMAND_STATUS, COMMAND_STATUS.f.INTD, disabled ? 1 : 0)
}

/** Writes one message per table entry, unmasks them and enables MSI-X; entries beyond stay masked. */
export function enableMsix(machine: MachinePort, fn: HostPciFunction, messages: readonly Message[]): void {
  const at = fn.capability(CAPABILITY.MSI_X)!
  const layout = msixOf(fn)!
  const { ENABLE, FUNCTION_MASK } = MSI_X.CONTROL.f
  const bar = fn.bars.find(({ index }) => index === layout.tableBar)
  assert(bar !== undefined && bar.address !== 0, 'an MSI-X table is programmed in a BAR that was placed')
  fn.config.set(at, MSI_X.CONTROL, FUNCTION_MASK, 1)
  fn.config.set(at, MSI_X.CONTROL, ENABLE, 1)
  const table = bar.address + layout.tableOffset
  for (let i = 0; i < layout.count; i++) {
    const entry = table + i * MSI_X_ENTRY.SIZE
    const message = messages[i]
    machine.writeDword(entry + MSI_X_ENTRY.ADDRESS, message?.addressLow ?? 0)
    machine.writeDword(entry + MSI_X_ENTRY.ADDRESS_UPPER, message?.addressHigh ?? 0)
    machine.writeDword(entry + MSI_X_ENTRY.DATA, message?.data ?? 0)
    machine.writeDword(entry + MSI_X_ENTRY.CONTROL, message === undefined ? MSI_X_ENTRY.MASKED : 0)
  }
  disableInterruptPin(fn, true)
  fn.config.set(at, MSI_X.CONTROL, FUNCTION_MASK, 0)
}

/** Enables MSI with 2^`exponent` messages: the function adds their number to the data. */
export function enableMsi(fn: HostPciFunction, message: Message, exponent: number): void {
  const at = fn.capability(CAPABILITY.MSI)!
  const { is64, maskable } = msiOf(fn)!
  const { data, mask } = msiLayout(fn.config.read(at))
  fn.config.write(at + MSI.ADDRESS.offset, message.addressLow)
  if (is64) fn.config.write(at + MSI.ADDRESS_UPPER.offset, message.addressHigh)
  fn.config.write(at + data, message.data, 0xffff)
  if (maskable) fn.config.write(at + mask!, 0)
  fn.config.set(at, MSI.CONTROL, MSI.CONTROL.f.MME, exponent)
  disableInterruptPin(fn, true)
  fn.config.set(at, MSI.CONTROL, MSI.CONTROL.f.ENABLE, 1)
}

/** Masks and disables what {@link enableMsix} or {@link enableMsi} enabled. */
export function disableMessages(machine: MachinePort, fn: HostPciFunction): void {
  disableInterruptPin(fn, false)
  const msi = fn.capability(CAPABILITY.MSI)
  if (msi !== undefined) fn.config.set(msi, MSI.CONTROL, MSI.CONTROL.f.ENABLE, 0)
  const msix = fn.capability(CAPABILITY.MSI_X)
  if (msix === undefined || !fn.config.get(msix, MSI_X.CONTROL, MSI_X.CONTROL.f.ENABLE)) return
  fn.config.set(msix, MSI_X.CONTROL, MSI_X.CONTROL.f.FUNCTION_MASK, 1)
  const { count, tableBar, tableOffset } = msixOf(fn)!
  const base = fn.bars.find(({ index }) => index === tableBar)!.address + tableOffset
  for (let i = 0; i < count; i++) {
    const entry = base + i * MSI_X_ENTRY.SIZE
    for (const offset of [MSI_X_ENTRY.ADDRESS, MSI_X_ENTRY.ADDRESS_UPPER, MSI_X_ENTRY.DATA])
      machine.writeDword(entry + offset, 0)
    machine.writeDword(entry + MSI_X_ENTRY.CONTROL, MSI_X_ENTRY.MASKED)
  }
  fn.config.set(msix, MSI_X.CONTROL, MSI_X.CONTROL.f.FUNCTION_MASK, 0)
  fn.config.set(msix, MSI_X.CONTROL, MSI_X.CONTROL.f.ENABLE, 0)
}
