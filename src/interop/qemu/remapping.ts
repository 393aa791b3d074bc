/** What the properties of `intel-iommu` and `amd-iommu` say about remapping. */
import type { TopologyDocument } from '../../platform/index.ts'
import type { DeviceArgument } from './command-line.ts'
import { parseFlag } from './device-properties.ts'

export interface QemuRemapping {
  readonly iommu: TopologyDocument['iommu']
  readonly hostAddressWidth?: number
  /** Id of the one unit. */
  readonly unit?: string
}

const UNIT = 'dmar0'
const REGISTERS = '0xfed90000'

/** Fields of CAP and ECAP that QEMU 11's model has otherwise than a server chipset, for all its configurations. */
const COMMON = { NFR: 0, FRO: 0x22, PLMR: 0, PHMR: 0, ZLR: 0, ESIRTPS: 0, C: 0, IRO: 0xf } as const

/** @param explicit whether some host bridge bypasses the unit, which then serves only what is wired to it. */
export function remappingOf(
  iommus: readonly DeviceArgument[],
  explicit: boolean,
  notes: string[],
): QemuRemapping {
  const [first] = iommus
  if (first === undefined) return { iommu: { kind: 'none' } }
  if (first.driver === 'amd-iommu') return { iommu: { kind: 'amd' } }
  if (first.driver !== 'intel-iommu') {
    notes.push(`${first.driver} is a function without a model of its remapping: the machine has none`)
    return { iommu: { kind: 'none' } }
  }
  const on = (...names: readonly string[]): boolean =>
    names.some(name => parseFlag(first.properties.get(name)) === true)
  const off = (name: string): boolean => parseFlag(first.properties.get(name)) === false
  const width = Number(first.properties.get('aw-bits') ?? 48)
  const interruptRemapping = !off('intremap')
  const scalable = on('scalable-mode', 'x-scalable-mode')
  const firstStage = scalable && on('fsts', 'x-flts', 'flts')
  return {
    hostAddressWidth: Math.min(52, Math.max(36, width)),
    unit: UNIT,
    iommu: {
      kind: 'intel-vtd',
      interruptRemapping,
      units: [
        {
          id: UNIT,
          includeAll: !explicit,
          registerBase: REGISTERS,
          capabilities: {
            ...COMMON,
            SAGAW: width >= 48 ? 0b0110 : 0b0010,
            MGAW: width - 1,
            CM: Number(on('caching-mode')),
            SC: Number(on('snoop-control')),
            DT: Number(on('device-iotlb')),
            IR: Number(interruptRemapping),
            EIM: Number(interruptRemapping && on('eim')),
            MHMV: interruptRemapping ? 15 : 0,
            ...(scalable && (firstStage ? { SMTS: 1, FSTS: 1, FS1GP: 1 } : { SMTS: 1, SSTS: 1, SRS: 1 })),
          },
        },
      ],
      ...(on('device-iotlb') && { atsPorts: [{ allPorts: true }] }),
    },
  }
}
