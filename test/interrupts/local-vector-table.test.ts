import { beforeEach, describe, expect, it } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { ApicBus, LocalApic } from '../../src/interrupts/index.ts'

const SVR = 0xf0
const EOI = 0xb0
const ESR = 0x280
const CMCI = 0x2f0
const THERMAL = 0x330
const PERFORMANCE = 0x340
const LINT0 = 0x350
const LINT1 = 0x360
const ERROR = 0x370
const ALL = 0xffff_ffff
const MASKED = 1 << 16
const LEVEL = 1 << 15
const REMOTE_IRR = 1 << 14
const ACTIVE_LOW = 1 << 13
const NMI = 4
const SMI = 2
const EXT_INT = 7
const mode = (value: number): number => value << 8

let apic: LocalApic
let completed: number[]
const write = (offset: number, value: number): void => apic.writeDword(offset, value >>> 0, ALL)
const requested = (): readonly number[] => apic.view().requested

beforeEach(() => {
  const bus = new ApicBus()
  completed = []
  bus.addListener({ endOfInterrupt: vector => void completed.push(vector) })
  apic = new LocalApic(0, 0, bus, new Engine())
  bus.add(apic)
  write(SVR, 0x1ff)
})

describe('sources inside the processor', () => {
  it.each([
    ['thermal', THERMAL],
    ['performance', PERFORMANCE],
    ['cmci', CMCI],
  ] as const)('%s delivers its vector unless masked', (source, offset) => {
    apic.raise(source)
    expect(requested()).toEqual([])
    write(offset, 0x91)
    apic.raise(source)
    expect(requested()).toEqual([0x91])
  })

  it('a performance-monitoring interrupt masks its entry', () => {
    write(PERFORMANCE, 0x91)
    apic.raise('performance')
    expect(apic.readDword(PERFORMANCE)).toBe(MASKED | 0x91)
  })

  it('NMI and SMI delivery modes bypass IRR; a reserved mode is nothing', () => {
    write(THERMAL, mode(NMI))
    apic.raise('thermal')
    write(CMCI, mode(SMI))
    apic.raise('cmci')
    write(PERFORMANCE, mode(3))
    apic.raise('performance')
    expect([NMI, SMI, 3].map(event => apic.hasEvent(event))).toEqual([true, true, false])
    expect(requested()).toEqual([])
  })

  it('a vector below 16 in an entry is a received illegal vector', () => {
    write(THERMAL, 0x0f)
    apic.raise('thermal')
    write(ESR, 0)
    expect(apic.readDword(ESR)).toBe(1 << 6)
  })

  it('the error interrupt comes once, and again after ESR was written', () => {
    write(ERROR, 0x80)
    for (let i = 0; i < 2; i++) apic.readDword(0x40)
    expect(requested()).toEqual([0x80])
    expect(apic.acknowledge()).toBe(0x80)
    apic.readDword(0x40)
    expect(requested()).toEqual([])
    write(ESR, 0)
    apic.readDword(0x40)
    expect(requested()).toEqual([0x80])
  })
})

describe('LINT0 and LINT1', () => {
  it('ExtINT on LINT0, NMI on LINT1, as a PC wires them', () => {
    write(LINT0, mode(EXT_INT))
    write(LINT1, mode(NMI))
    apic.drive(0, true)
    apic.drive(1, true)
    expect(apic.hasEvent(EXT_INT)).toBe(true)
    expect(apic.hasEvent(NMI)).toBe(true)
  })

  it('a fixed level on LINT0 sets Remote IRR until its EOI, and interrupts again if still asserted', () => {
    write(LINT0, LEVEL | 0x71)
    apic.drive(0, true)
    expect(apic.readDword(LINT0)).toBe(LEVEL | REMOTE_IRR | 0x71)
    apic.acknowledge()
    write(EOI, 0)
    expect(requested()).toEqual([0x71])
    apic.drive(0, false)
    apic.acknowledge()
    write(EOI, 0)
    expect(requested()).toEqual([])
    expect(apic.readDword(LINT0)).toBe(LEVEL | 0x71)
    expect(completed).toEqual([0x71, 0x71])
  })

  it('a level on LINT1 is an edge: only LINT0 knows levels', () => {
    write(LINT1, LEVEL | 0x72)
    apic.drive(1, true)
    apic.acknowledge()
    write(EOI, 0)
    expect(requested()).toEqual([])
  })

  it('active low: a low pin is asserted', () => {
    apic.drive(0, true)
    write(LINT0, ACTIVE_LOW | 0x71)
    apic.drive(0, false)
    expect(requested()).toEqual([0x71])
  })

  it('a level asserted while masked interrupts when unmasked', () => {
    write(LINT0, MASKED | LEVEL | 0x71)
    apic.drive(0, true)
    expect(requested()).toEqual([])
    write(LINT0, LEVEL | 0x71)
    expect(requested()).toEqual([0x71])
  })
})

describe('disabled by SVR', () => {
  it('every entry is masked and stays so', () => {
    write(THERMAL, 0x91)
    write(SVR, 0xff)
    expect(apic.readDword(THERMAL)).toBe(MASKED | 0x91)
    write(THERMAL, 0x91)
    expect(apic.readDword(THERMAL)).toBe(MASKED | 0x91)
  })
})

describe('state', () => {
  it('INIT leaves identifier, base and mode, and resets the rest', () => {
    apic.writeBase(apic.baseLow | 0x400, 0, 46)
    apic.writeMsr(0x08, 0x55, 0)
    apic.initialize()
    expect(apic.view()).toMatchObject({ mode: 'x2APIC', enabled: false, taskPriority: 0, logicalId: '0x1' })
  })

  it('pins, events and timer survive save and load', () => {
    write(LINT0, LEVEL | 0x71)
    apic.drive(0, true)
    write(LINT1, mode(NMI))
    apic.drive(1, true)
    write(0x320, 0x80)
    write(0x380, 1000)
    const other = new LocalApic(0, 0, new ApicBus(), new Engine())
    other.load(apic.save())
    expect(other.save()).toEqual(apic.save())
    expect(other.hasEvent(NMI)).toBe(true)
    expect(other.view()).toEqual(apic.view())
  })
})
