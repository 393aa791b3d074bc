/** Functions in few words, and the colours of their groups. */
import type { PcieFunction } from '../api.ts'

const KINDS: Readonly<Record<PcieFunction['kind'], string>> = {
  PF: 'Physical function',
  VF: 'Virtual function',
  endpoint: 'Endpoint',
  rootPort: 'Root port',
  upstreamPort: 'Upstream port',
  downstreamPort: 'Downstream port',
  bridge: 'Bridge',
  hostBridge: 'Host bridge',
}

/** Base class and sub-class ("Class Codes" of the PCI Code and ID Assignment Specification) of what people look for. */
const CLASSES: Readonly<Record<string, string>> = {
  '0x0200': 'Ethernet',
  '0x0108': 'NVMe',
  '0x0106': 'SATA',
  '0x0300': 'Display',
  '0x0302': '3D controller',
  '0x0403': 'Audio',
  '0x0601': 'ISA bridge',
  '0x0c03': 'USB',
  '0x0c05': 'SMBus',
}

export function kindName({ kind, classCode }: PcieFunction): string {
  const known = CLASSES[classCode.slice(0, 6)]
  if (known === undefined) return KINDS[kind]
  return kind === 'PF' || kind === 'VF' ? `${known} ${kind}` : known
}

/** Without the segment, where that is 0. */
export const shortAddress = (address: string): string => address.replace(/^0000:/, '')

export const ownerClass = ({ owner, driver }: PcieFunction): string =>
  owner.kind === 'vm' ? 'assigned' : driver === null ? 'idle' : 'hosted'

/** Neighbouring numbers get colours far apart (golden angle). */
export const groupColour = (group: number | null): string =>
  group === null ? 'transparent' : `hsl(${(group * 137.508) % 360} 65% 50%)`
