import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../src/host/command-line.ts'
import {
  BOOT_PARAMETERS_SIZE,
  decodeBootParameters,
  encodeBootParameters,
} from '../../src/platform/formats/boot-parameters.ts'

describe('boot parameters', () => {
  it('carry the memory map where the zero page has it: e820_entries at 1E8h, e820_table at 2D0h', () => {
    const bytes = encodeBootParameters({
      rsdp: 0xe_0000,
      memoryMap: [{ base: 0x1_0000_0000, size: 0x8000_0000, type: 1 }],
      hostBridges: [],
    })
    const view = new DataView(bytes.buffer)
    expect(view.getUint8(0x1e8)).toBe(1)
    expect(view.getBigUint64(0x2d0, true)).toBe(0x1_0000_0000n)
    expect(view.getBigUint64(0x2d8, true)).toBe(0x8000_0000n)
    expect(view.getUint32(0x2e0, true)).toBe(1)
    expect(view.getBigUint64(0x70, true)).toBe(0xe_0000n)
  })

  it('come out of the page as they went in', () => {
    const address = fc.integer({ min: 0, max: 2 ** 52 - 1 })
    const range = fc.record({ base: address, size: address })
    const parameters = fc.record({
      rsdp: address,
      memoryMap: fc.array(fc.record({ base: address, size: address, type: fc.integer({ min: 1, max: 4 }) }), {
        maxLength: 128,
      }),
      hostBridges: fc.array(
        fc.record({
          segment: fc.integer({ min: 0, max: 0xffff }),
          bus: fc.integer({ min: 0, max: 255 }),
          lastBus: fc.integer({ min: 0, max: 255 }),
          numaNode: fc.integer({ min: -1, max: 63 }),
          nativeHotplug: fc.boolean(),
          windows: fc.record({ io: range, memory32: range, memory64: range }),
        }),
        { maxLength: 256 },
      ),
    })
    fc.assert(
      fc.property(parameters, given => {
        const page = new Uint8Array(BOOT_PARAMETERS_SIZE)
        page.set(encodeBootParameters(given))
        expect(decodeBootParameters(page)).toEqual(given)
      }),
      { numRuns: 30 },
    )
  })
})

describe('the kernel command line', () => {
  const OFF = {
    iommu: false,
    scalableMode: false,
    strict: false,
    aperture: true,
    apertureOrder: 1,
    passThrough: false,
    interruptRemapping: true,
    x2apic: true,
    allowUnsafeInterrupts: false,
    vfioSriov: false,
    disableAcsRedirection: [],
    amdIommu: true,
    configureAcs: [],
    ats: true,
    ari: true,
    errorReporting: true,
    scanAllDevices: false,
  }

  it.each([
    ['', {}],
    ['console=ttyS0 quiet', {}],
    ['intel_iommu=on', { iommu: true }],
    ['intel_iommu=on,sm_on', { iommu: true, scalableMode: true }],
    ['intel_iommu=on iommu.strict=1', { iommu: true, strict: true }],
    ['intel_iommu=on,strict', { iommu: true, strict: true }],
    ['iommu.strict=1 iommu.strict=0', {}],
    ['iommu.passthrough=1', { passThrough: true }],
    ['iommu=memaper=3', { apertureOrder: 3 }],
    ['intel_iommu=on iommu=off', { aperture: false, amdIommu: false }],
    ['amd_iommu=on', {}],
    ['amd_iommu=off', { amdIommu: false }],
    ['pci=noaer', { errorReporting: false }],
    ['pci=noats,noari,pcie_scan_all', { ats: false, ari: false, scanAllDevices: true }],
    ['intel_iommu=on iommu=pt', { iommu: true, passThrough: true }],
    ['intremap=off nox2apic', { interruptRemapping: false, x2apic: false }],
    ['vfio_iommu_type1.allow_unsafe_interrupts=1', { allowUnsafeInterrupts: true }],
    ['vfio_pci.enable_sriov=1', { vfioSriov: true }],
    ['vfio_iommu_type1.allow_unsafe_interrupts=0', {}],
    [
      'pci=realloc,disable_acs_redir=02:01.0;0001:00:03.0',
      {
        disableAcsRedirection: [
          { kind: 'path', segment: 0, bus: 2, devfns: [0x08] },
          { kind: 'path', segment: 1, bus: 0, devfns: [0x18] },
        ],
      },
    ],
    [
      'pci=disable_acs_redir=00:1c.0/00.0/1f.1;pci:8086:2030',
      {
        disableAcsRedirection: [
          { kind: 'path', segment: 0, bus: 0, devfns: [0xe0, 0x00, 0xf9] },
          { kind: 'ids', ids: [0x8086, 0x2030, 0, 0] },
        ],
      },
    ],
    [
      'pci=config_acs=x10x1@pci:1b36:c:0:0',
      { configureAcs: [{ device: { kind: 'ids', ids: [0x1b36, 0xc, 0, 0] }, mask: 0b01101, bits: 0b01001 }] },
    ],
  ])('"%s"', (text, expected) => {
    expect(parseCommandLine(text)).toEqual({ ...OFF, ...expected })
  })

  it('is refused if it asks for an aperture that no unit has', () => {
    expect(() => parseCommandLine('iommu=memaper=7')).toThrow(/0 \(32 MiB\) to 6/)
  })

  it('is refused if it names a port that cannot be', () => {
    expect(() => parseCommandLine('pci=disable_acs_redir=nonsense')).toThrow(/names "nonsense"/)
    expect(() => parseCommandLine('pci=config_acs=00:01.0')).toThrow(/up to seven of 0, 1 and x/)
    expect(() => parseCommandLine('pci=config_acs=112@00:01.0')).toThrow(/up to seven of 0, 1 and x/)
  })
})
