import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Engine, sleep } from '../../src/engine/index.ts'
import { runFirmware } from '../../src/firmware/index.ts'
import { importCapture } from '../../src/interop/index.ts'
import { Platform, parseTopology } from '../../src/platform/index.ts'
import { CAPTURES, captureNames, readDump } from '../host/capture-functions.ts'

type Dumped = ReturnType<typeof readDump>[number]
/** Reads a dword of a function's config space. */
type Config = (offset: number) => number

/** Powers a capture's topology on and runs firmware; config space is reached as software does. */
function boot(name: string) {
  const engine = new Engine()
  const topology = parseTopology(importCapture(join(CAPTURES, name)).topology)
  const platform = engine.run(Platform.build(topology, engine))
  platform.powerOn()
  const report = engine.run(runFirmware(platform.port))
  const ecam = platform.port.board.ecam[0]!.base
  const config =
    (rid: number): Config =>
    offset =>
      platform.port.readDword(ecam + rid * 4096 + offset)
  const write = (rid: number, offset: number, value: number, lanes: number): void =>
    platform.port.writeDword(ecam + rid * 4096 + offset, value, lanes)
  return { engine, platform, report, config, write }
}

const dumped = ({ bytes }: Dumped): Config => {
  const view = new DataView(bytes.buffer)
  return offset => view.getUint32(offset, true)
}

/** Identifier and place of every capability, `e` for extended ones. */
function capabilities(config: Config): string[] {
  const found: string[] = []
  const seen = new Set<number>()
  for (let at = config(0x04) & 0x10_0000 ? config(0x34) & 0xfc : 0; at >= 0x40 && !seen.has(at); ) {
    seen.add(at)
    found.push(`${config(at) & 0xff}@${at.toString(16)}`)
    at = (config(at) >>> 8) & 0xfc
  }
  for (let at = 0x100; at >= 0x100 && !seen.has(at); ) {
    const header = config(at)
    if (header === 0 || header === 0xffff_ffff) break
    seen.add(at)
    found.push(`e${header & 0xf_ffff}@${at.toString(16)}`)
    at = (header >>> 20) & 0xffc
  }
  return found
}

const offsetOf = (config: Config, capability: RegExp): number => {
  const found = capabilities(config).find(text => capability.test(text))
  return found === undefined ? 0 : Number.parseInt(found.split('@')[1]!, 16)
}

/** Vendor, device, class, revision, header type, subsystem and capabilities. */
const identity = (config: Config) => ({
  ids: config(0x00).toString(16),
  classRevision: config(0x08).toString(16),
  headerType: (config(0x0c) >>> 16) & 0xff,
  subsystem: (config(0x0c) & 0x7f_0000) === 0 ? config(0x2c).toString(16) : undefined,
  capabilities: capabilities(config),
})

const isVirtual = ({ bytes }: Dumped): boolean => bytes[0] === 0xff && bytes[1] === 0xff
const isBridge = ({ bytes }: Dumped): boolean => (bytes[0x0e]! & 0x7f) === 1

describe('An imported machine, powered on', () => {
  it.each(captureNames())('%s has the functions, addresses and identities that Linux saw', name => {
    const { engine, platform, report, config, write } = boot(name)
    const dump = readDump(name)
    const physical = dump.filter(one => !isVirtual(one))
    expect(report.functions).toBe(physical.length)
    for (const one of physical) {
      const found = config(one.rid)
      const original = dumped(one)
      expect(identity(found), one.address).toEqual(identity(original))
      for (let bar = 0x10; bar < (isBridge(one) ? 0x18 : 0x28); bar += 4) {
        expect(found(bar), `${one.address} BAR at ${bar.toString(16)}`).toBe(original(bar))
      }
      if (!isBridge(one)) continue
      expect(found(0x18) & 0xff_ffff, `${one.address} bus numbers`).toBe(original(0x18) & 0xff_ffff)
      for (const window of [0x20, 0x24, 0x28, 0x2c]) {
        expect(found(window), `${one.address} window at ${window.toString(16)}`).toBe(original(window))
      }
      // Linux closed some I/O windows that its firmware had opened; those that it left open are the same.
      const io = original(0x1c) & 0xffff
      if (io !== 0x00f0) expect(found(0x1c) & 0xffff, `${one.address} I/O window`).toBe(io)
    }

    // Virtual functions as Linux enables them: ARI forwarding at the port, NumVFs, then VF Enable.
    for (const port of physical.filter(isBridge)) {
      const express = offsetOf(dumped(port), /^16@/)
      if (express !== 0) write(port.rid, express + 0x28, dumped(port)(express + 0x28), 0x20)
    }
    for (const one of physical) {
      const sriov = offsetOf(dumped(one), /^e\d+@/) && offsetOf(dumped(one), new RegExp(`^e${0x1_0010}@`))
      if (sriov === 0 || (dumped(one)(sriov + 8) & 1) === 0) continue
      const original = dumped(one)
      write(one.rid, sriov + 0x08, original(sriov + 0x08) & 0x10, 0xffff)
      write(one.rid, sriov + 0x10, original(sriov + 0x10), 0xffff)
      write(one.rid, sriov + 0x08, original(sriov + 0x08), 0xffff)
      expect(config(one.rid)(sriov + 0x14), `${one.address} offset and stride`).toBe(original(sriov + 0x14))
    }
    // "VF Enable": virtual functions answer after 100 ms at the latest.
    engine.run(sleep(engine, 100_000_000))
    for (const one of dump.filter(isVirtual)) {
      expect(identity(config(one.rid)), one.address).toEqual(identity(dumped(one)))
    }
    const answering = platform.fabric.functions().length
    expect(answering).toBe(dump.length)
  })
})
