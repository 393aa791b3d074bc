/**
 * How kernel parameters name functions: `[segment:]bus:device.function`, the same followed by `/device.function` steps
 * below it, or `pci:vendor:device[:subvendor:subdevice]` where 0 stands for any.
 */
import type { HostPciFunction } from './pci-function.ts'

export type DeviceName =
  | {
      readonly kind: 'path'
      readonly segment: number
      readonly bus: number
      /** From that bus down. */
      readonly devfns: readonly number[]
    }
  | { readonly kind: 'ids'; readonly ids: readonly [number, number, number, number] }

const PATH = /^(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2}\.[0-7](?:\/[0-9a-f]{1,2}\.[0-7])*)$/i
const IDS = /^pci:([0-9a-f]{1,4}):([0-9a-f]{1,4})(?::([0-9a-f]{1,4}):([0-9a-f]{1,4}))?$/i

/** Undefined if a text is of neither form. */
export function parseDeviceName(text: string): DeviceName | undefined {
  const ids = IDS.exec(text)
  if (ids !== null) {
    const [vendor, device, subsystemVendor, subsystem] = ids.slice(1).map(hexNumber)
    return { kind: 'ids', ids: [vendor!, device!, subsystemVendor!, subsystem!] }
  }
  const path = PATH.exec(text)
  if (path === null) return undefined
  const [, segment, bus, steps] = path
  const devfns = steps!.split('/').map(step => {
    const [device, fn] = step.split('.')
    return (hexNumber(device) << 3) | Number(fn)
  })
  return { kind: 'path', segment: hexNumber(segment), bus: hexNumber(bus), devfns }
}

const hexNumber = (text: string | undefined): number => Number.parseInt(text ?? '0', 16)

/** Whether a name is one of this function. */
export function isNamed(name: DeviceName, fn: HostPciFunction): boolean {
  if (name.kind === 'ids') {
    const own = [fn.vendorId, fn.deviceId, fn.subsystemVendorId, fn.subsystemId]
    return name.ids.every((id, i) => id === 0 || id === own[i])
  }
  // From the last step up: each bridge on the way must be the one before.
  let at: HostPciFunction | undefined = fn
  for (const devfn of name.devfns.slice(1).reverse()) {
    if (at === undefined || (at.rid & 0xff) !== devfn) return false
    at = at.above
  }
  return at !== undefined && at.segment === name.segment && at.rid === ((name.bus << 8) | name.devfns[0]!)
}
