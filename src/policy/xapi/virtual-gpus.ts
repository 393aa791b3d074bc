/** Where a virtual GPU fits. Source: xapi-project/xen-api ocaml/xapi/xapi_pgpu_helpers.ml. */
import type { Refusal } from '../model/index.ts'

export interface PhysicalGpu {
  readonly name: string
  /** How many of a type fill it. */
  readonly supported: Readonly<Record<string, number>>
  readonly enabled: readonly string[]
  /** All virtual GPUs on it must be of one type. */
  readonly exclusiveType: boolean
  /** Types of what runs, or is scheduled to run, on it. */
  readonly resident: readonly string[]
}

/** Parts of it that are in use; 1 is all of it. */
const used = ({ supported, resident }: PhysicalGpu): number =>
  resident.reduce((sum, type) => sum + 1 / (supported[type] ?? 1), 0)

/** How many more of a type would fit, 0 if none may. */
export function remainingCapacity(type: string, gpu: PhysicalGpu): number {
  if (refuseType(type, gpu) !== undefined) return 0
  // Shares like 1/3 do not add up exactly.
  return Math.floor((1 - used(gpu)) * gpu.supported[type]! + 1e-9)
}

export function refuseVirtualGpu(type: string, gpu: PhysicalGpu): Refusal | undefined {
  const refusal = refuseType(type, gpu)
  if (refusal !== undefined || remainingCapacity(type, gpu) > 0) return refusal
  return {
    errorClass: 'pgpu_insufficient_capacity_for_vgpu',
    text: `${gpu.name} has no room for another ${type}`,
  }
}

function refuseType(
  type: string,
  { name, supported, enabled, exclusiveType, resident }: PhysicalGpu,
): Refusal | undefined {
  if (supported[type] === undefined)
    return { errorClass: 'vgpu_type_not_supported', text: `${name} has no type ${type}` }
  if (!enabled.includes(type))
    return { errorClass: 'vgpu_type_not_enabled', text: `type ${type} is not enabled on ${name}` }
  const other = exclusiveType ? resident.find(each => each !== type) : undefined
  if (other === undefined) return undefined
  return {
    errorClass: 'vgpu_type_not_compatible_with_running_type',
    text: `${other} runs on ${name}, beside which ${type} cannot`,
  }
}
