/**
 * Names that placement accepts for resource classes and traits. Source: openstack/nova
 * nova/compute/pci_placement_translator.py.
 */
import type { Device } from '../model/index.ts'
import { looseBoolean } from './booleans.ts'
import type { Tags } from './device-spec.ts'
import { STANDARD_RESOURCE_CLASSES } from './standard-names.ts'

/** Standard traits are all in capitals with one of these beginnings; everything else is custom. */
const STANDARD_TRAITS = /^(?:COMPUTE|HW|MISC|STORAGE|OWNER)_[A-Z0-9_]+$/

/** Capitals, and `_` for each run of other characters. */
const normalName = (name: string): string => `CUSTOM_${name.toUpperCase().replace(/[^0-9A-Z]+/g, '_')}`

/** A list with commas. Standard names come first; each name once. */
export function normalTraits(text: string): string[] {
  if (text === '') return []
  const names = text.split(',')
  const standard = names.filter(name => STANDARD_TRAITS.test(name))
  const custom = names
    .filter(name => !STANDARD_TRAITS.test(name))
    .map(name => {
      const upper = name.toUpperCase()
      return /^CUSTOM_[A-Z0-9_]+$/.test(upper) ? upper : normalName(upper)
    })
  return [...new Set([...standard, ...custom])]
}

/** As asked for, or made of the ids. */
export function resourceClassOf(
  wanted: string | undefined,
  { vendorId, productId }: Pick<Device, 'vendorId' | 'productId'>,
): string {
  if (wanted === undefined || wanted === '') return `CUSTOM_PCI_${vendorId}_${productId}`.toUpperCase()
  const name = wanted.toUpperCase()
  return STANDARD_RESOURCE_CLASSES.has(name) || /^CUSTOM_[A-Z0-9_]+$/.test(name) ? name : normalName(name)
}

/** Of a provider. `whole`: it stands for one device, not for the VFs of a PF. */
export function traitsOf(tags: Tags, whole: boolean): string[] {
  return [
    ...normalTraits(tags['traits'] ?? ''),
    'COMPUTE_MANAGED_PCI_DEVICE',
    ...(looseBoolean(tags['live_migratable'] ?? '') ? ['HW_PCI_LIVE_MIGRATABLE'] : []),
    ...(whole && looseBoolean(tags['one_time_use'] ?? '') ? ['HW_PCI_ONE_TIME_USE'] : []),
  ]
}
