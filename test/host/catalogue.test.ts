/** Every device of the catalogue in a machine: found, placed, grouped, and its virtual functions enabled. */
import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type DataSheet, dataSheetNames, loadDataSheet } from '../../src/devices/index.ts'
import type { TopologyDocument } from '../../src/platform/index.ts'
import { boot } from './machine.ts'

const sheets = dataSheetNames().map(loadDataSheet)
/** What is plugged in: endpoints. Ports and bridges are what the machines are made of. */
const devices = sheets.filter(({ functions }) => functions[0]!.kind === 'endpoint')

const expressType = ({ functions }: DataSheet): string | undefined => {
  const express = functions[0]!.capabilities.find(({ capability }) => capability === 'express')
  return express?.capability === 'express' ? express.type : undefined
}

/** A device below a root port, or on the root bus if it is made for that. */
function machineWith(sheet: DataSheet, vfs: number): TopologyDocument {
  const behindPort = expressType(sheet) === 'endpoint'
  const functions = sheet.functions.map((fn, number) => ({
    at: `${behindPort ? '00' : '05'}.${number}`,
    model: sheet.name,
    functionOfModel: number,
    ...(fn.sriov && vfs > 0 && { numVfs: Math.min(vfs, fn.sriov.totalVfs, sheet.usableVfs?.count ?? vfs) }),
  }))
  return {
    name: 'catalogue',
    memory: [{ sizeMiB: 256 }],
    iommu: { kind: 'intel-vtd', units: [{ id: 'unit', includeAll: true }] },
    hostBridges: [
      {
        devices: [
          { at: '00.0', model: 'host-bridge' },
          ...(behindPort ? [{ at: '01.0', model: 'root-port', devices: functions }] : functions),
        ],
      },
    ],
  }
}

describe('the page about the catalogue', () => {
  it('names every device and every topology', () => {
    const page = readFileSync('docs/catalogue.md', 'utf8')
    for (const { name } of sheets) expect(page).toContain(`| \`${name}\` |`)
    for (const file of globSync('topologies/*.json'))
      expect(page).toContain(`| \`${basename(file, '.json')}\` |`)
  })
})

describe('the catalogue', () => {
  it('has at least 20 real devices, of every family that the documentation names', () => {
    const names = devices.map(({ name }) => name)
    expect(names.length).toBeGreaterThanOrEqual(28)
    for (const family of ['82576', 'i350', '82599', 'x540', 'x550', 'x710', 'xl710', 'xxv710', 'e810']) {
      expect(names).toContain(`intel-${family}`)
    }
    for (const family of ['connectx', 'broadcom', 'nvidia', 'qat', 'samsung', 'virtio', 'dsa', 'cbdma']) {
      expect(names.filter(name => name.includes(family))).not.toEqual([])
    }
  })
})

describe.each(sheets.map(sheet => [sheet.name, sheet] as const))('%s', (_name, sheet) => {
  it('says of every field where it is from, or that nobody has checked it', () => {
    const unsourced: string[] = []
    const seen = new Set<string>()
    const walk = (value: unknown, path: string, sourced: boolean): void => {
      seen.add(path)
      if (sheet.unverified.includes(path)) return
      if (typeof value !== 'object' || value === null) {
        if (!sourced) unsourced.push(path)
        return
      }
      const own = sourced || 'source' in value
      for (const [key, child] of Object.entries(value)) {
        if (!['source', 'title', 'purpose', 'text'].includes(key)) walk(child, `${path}/${key}`, own)
      }
    }
    const { functions, queues, usableVfs, quirks } = sheet
    walk({ functions, queues, usableVfs, quirks }, '', false)
    expect(unsourced.filter(path => !['/queues', '/usableVfs'].includes(path))).toEqual([])
    // A mark on something that is not there would be a mark on nothing.
    const marked = sheet.unverified.filter(
      path => !seen.has(path) && !sheet.unverified.some(other => path.startsWith(`${other}/`)),
    )
    expect(marked).toEqual([])
  })
})

describe.each(devices.map(sheet => [sheet.name, sheet] as const))('%s in a machine', (_name, sheet) => {
  const { host } = boot(machineWith(sheet, 3))
  const physical = host
    .functions()
    .filter(({ vendorId, kind }) => kind !== 'VF' && vendorId === vendorOf(sheet))

  it('is found with its ids, class and capabilities, and all its BARs have an address', () => {
    const own = physical.filter(({ deviceId }) => deviceId === Number(sheet.functions[0]!.deviceId))
    expect(own.length).toBeGreaterThanOrEqual(1)
    for (const [number, fn] of own.entries()) {
      const described = sheet.functions[number]!
      expect(fn.classCode).toBe(Number(described.classCode))
      expect(fn.bars.map(({ index, size }) => [index, size])).toEqual(
        described.bars.map(({ index, sizeBytes }) => [index, sizeBytes]),
      )
      expect(fn.bars.every(({ address, size }) => address > 0 && address % size === 0)).toBe(true)
      expect(fn.capabilities.length).toBe(
        described.capabilities.length + Number(described.sriov !== undefined),
      )
      expect(fn.group).not.toBeNull()
    }
  })

  it('enables virtual functions, if it has any, where offset and stride say, each in a group of its own', () => {
    const pfs = physical.filter(({ kind }) => kind === 'PF')
    expect(pfs.length).toBe(sheet.functions.filter(fn => fn.sriov !== undefined).length)
    const seen = new Set<number>()
    for (const [number, pf] of pfs.entries()) {
      const { ari, nonAri, vfDeviceId } = sheet.functions[number]!.sriov!
      const routing = pf.parent === undefined ? nonAri : ari
      const vfs = pf.virtualFunctions.map(address => host.find(address))
      expect(vfs.length).toBe(3)
      for (const [n, vf] of vfs.entries()) {
        expect(vf.rid - pf.rid).toBe(routing.offset + n * routing.stride)
        expect(vf.deviceId).toBe(Number(vfDeviceId))
        expect(vf.resetMethods).toContain('flr')
        expect(seen.has(vf.rid)).toBe(false)
        seen.add(vf.rid)
        expect(host.groups().find(({ id }) => id === vf.group)!.functions).toEqual([vf.address])
      }
    }
  })
})

function vendorOf(sheet: DataSheet): number {
  return Number(sheet.functions[0]!.vendorId)
}
