/**
 * Register bits that no software of a normal boot writes hold what reset left in them. Where a captured function has
 * something else there than the specification's default, that is its reset value.
 */
import { hex } from '../core/index.ts'
import { CAPABILITY, EXPRESS, EXTENDED_CAPABILITY } from '../pcie/formats/index.ts'
import type { TopologyNodeDocument } from '../platform/index.ts'
import type { CapturedFunction } from './captured-function.ts'

type Overrides = NonNullable<NonNullable<TopologyNodeDocument['imported']>['overrides']>

const { RO, NO_SNOOP, MRRS } = EXPRESS.DEVICE_CONTROL.f
/** "Device Control Register": what Linux leaves alone, and its default (512-byte reads, both enables set). */
const DEVICE_CONTROL = {
  mask: RO.mask | NO_SNOOP.mask | MRRS.mask,
  value: RO.mask | NO_SNOOP.mask | (2 << MRRS.shift),
} as const

export function resetOverrides(one: CapturedFunction): Overrides {
  const at = one.capability(CAPABILITY.EXPRESS)
  if (at === undefined) return []
  const offset = at + EXPRESS.DEVICE_CONTROL.offset
  const value = one.dword(offset) & DEVICE_CONTROL.mask
  // Linux switches reporting on wherever there is advanced error reporting: where it is off it cannot be on.
  const mute = !one.isVirtual && reports(one, at) === false
  if (value === DEVICE_CONTROL.value && !mute) return []
  return [
    {
      offset: hex(offset),
      ...(mute && { readOnly: hex(REPORTING) }),
      ...(value !== DEVICE_CONTROL.value && { reset: { mask: hex(DEVICE_CONTROL.mask), value: hex(value) } }),
    },
  ]
}

const { CERE, NFERE, FERE, URRE } = EXPRESS.DEVICE_CONTROL.f
const REPORTING = CERE.mask | NFERE.mask | FERE.mask | URRE.mask

/** Whether a function with advanced error reporting has it switched on; undefined without that capability. */
function reports(one: CapturedFunction, express: number): boolean | undefined {
  if (one.extendedCapability(EXTENDED_CAPABILITY.AER) === undefined) return undefined
  return (one.dword(express + EXPRESS.DEVICE_CONTROL.offset) & REPORTING) !== 0
}

const { DLL_ACTIVE } = EXPRESS.LINK_CONTROL.f
const { AIC, PIC, PCC, PDS, HPIE, DLLSCE } = EXPRESS.SLOT_CONTROL.f
const INDICATORS = AIC.mask | PIC.mask | PCC.mask

/**
 * A port with a device behind it whose status says that there is none: it does not report presence or links. And
 * indicators, which only a hot-plug driver sets, as they were found.
 * @param occupied whether something is behind the port.
 */
export function portOverrides(one: CapturedFunction, occupied: boolean): Overrides {
  const at = one.capability(CAPABILITY.EXPRESS)
  if (at === undefined || !LINK_PORTS.includes(one.kind)) return []
  const link = at + EXPRESS.LINK_CONTROL.offset
  const slot = at + EXPRESS.SLOT_CONTROL.offset
  const silent = occupied && (one.dword(link) & DLL_ACTIVE.mask) === 0
  const overrides: Overrides = silent ? [{ offset: hex(link), readOnly: hex(DLL_ACTIVE.mask) }] : []
  if (one.field(EXPRESS.CAPABILITIES, 'SLOT', at) === 0) return overrides
  const absent = occupied && (one.dword(slot) & PDS.mask) === 0
  // A hot-plug driver enables every event that there is: the one for link changes is not there.
  const noLinkEvent = (one.dword(slot) & (HPIE.mask | DLLSCE.mask)) === HPIE.mask
  const pinned = (absent ? PDS.mask : 0) | (noLinkEvent ? DLLSCE.mask : 0)
  return [
    ...overrides,
    {
      offset: hex(slot),
      ...(pinned > 0 && { readOnly: hex(pinned) }),
      reset: { mask: hex(INDICATORS), value: hex(one.dword(slot) & INDICATORS) },
    },
  ]
}

const LINK_PORTS: readonly string[] = ['rootPort', 'downstreamPort']

const LINK_STATUS = 0xffff_0000

/** "VF Link Status": reserved, but some devices show the physical function's link. */
export function virtualOverrides(one: CapturedFunction): Overrides {
  const at = one.capability(CAPABILITY.EXPRESS)
  if (at === undefined) return []
  const link = at + EXPRESS.LINK_CONTROL.offset
  const shown = (one.dword(link) & LINK_STATUS) !== 0
  return [...resetOverrides(one), ...(shown ? [{ offset: hex(link), readOnly: hex(LINK_STATUS) }] : [])]
}
