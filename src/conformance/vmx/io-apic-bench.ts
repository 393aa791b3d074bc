/** What the cases of the I/O APIC do with it: its registers, its pins, one entry on pin 14. */
import { IO_APIC, IO_APIC_INDEX } from '../../interrupts/formats/io-apic.ts'
import { LOCAL_APIC } from '../../interrupts/formats/local-apic.ts'
import type { ProcessorCase } from './case.ts'
import { type InterruptBench, interruptCase } from './interrupt-bench.ts'

export const ALL = 0xffff_ffff
export const LEVEL = 1 << 15
export const MASKED = 1 << 16
export const REMOTE_IRR = 1 << 14
export const ACTIVE_LOW = 1 << 13
export const LOGICAL = 1 << 11
export const PIN = 14

export function readRegister({ ioApic }: InterruptBench, index: number): number {
  ioApic.writeDword(IO_APIC.IOREGSEL, index, ALL)
  return ioApic.readDword(IO_APIC.IOWIN) >>> 0
}

export function writeRegister({ ioApic }: InterruptBench, index: number, value: number): void {
  ioApic.writeDword(IO_APIC.IOREGSEL, index, ALL)
  ioApic.writeDword(IO_APIC.IOWIN, value >>> 0, ALL)
}

export const entryAt = (pin: number): number => IO_APIC_INDEX.RTE + 2 * pin

export function redirect(bench: InterruptBench, pin: number, low: number, destination = 0): void {
  writeRegister(bench, entryAt(pin) + 1, destination << 24)
  writeRegister(bench, entryAt(pin), low)
}

export const line = ({ ioApic }: InterruptBench, level: boolean, pin = PIN): void =>
  ioApic.assertLine(pin, level)
export function pulse(bench: InterruptBench, pin = PIN): void {
  line(bench, true, pin)
  line(bench, false, pin)
}
export const remoteIrr = (bench: InterruptBench, pin = PIN): boolean =>
  (readRegister(bench, entryAt(pin)) & REMOTE_IRR) !== 0
export const setMask = (bench: InterruptBench, masked: boolean): void => {
  const low = readRegister(bench, entryAt(PIN))
  writeRegister(bench, entryAt(PIN), masked ? low | MASKED : low & ~MASKED)
}
export const triggerMode = (bench: InterruptBench, vector: number): boolean =>
  ((bench.readApic(LOCAL_APIC.TMR + (vector >>> 5) * 16) >>> (vector & 31)) & 1) === 1

export const row = (
  id: string,
  test: string,
  states: string,
  act: (bench: InterruptBench) => void,
  processors = 1,
): ProcessorCase => interruptCase(`ioapic.${id}`, `x86/ioapic.c ${test}`, states, act, processors)
