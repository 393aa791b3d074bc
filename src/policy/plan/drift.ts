/** Which machines a policy would serve otherwise if nothing but addresses had changed. */
import type { AssignmentPolicy, PolicyHost } from '../model/index.ts'
import { PERTURBATIONS, type Perturbation, perturb } from './perturb.ts'
import { type FleetRequest, planFleet } from './plan.ts'

export interface Drift {
  readonly perturbation: Perturbation
  readonly vm: string
  /** Devices by the addresses that they had before; undefined: refused. */
  readonly before: readonly string[] | undefined
  readonly after: readonly string[] | undefined
  /** Why it is refused now, where it was not before. */
  readonly reason?: string
}

export function driftOf(
  host: PolicyHost,
  policy: AssignmentPolicy,
  requests: readonly FleetRequest[],
): readonly Drift[] {
  const here = requests.map(({ host: _anywhere, ...request }) => request)
  const before = planFleet([host], policy, here)
  return PERTURBATIONS.flatMap(perturbation => {
    const perturbed = perturb(host, perturbation)
    const after = planFleet([perturbed.host], policy, here)
    return here.flatMap(({ vm }): Drift[] => {
      const was = devicesOf(before, vm)
      const is = devicesOf(after, vm)?.map(address => perturbed.before.get(address) ?? address)
      if (JSON.stringify([...(was ?? [])].sort()) === JSON.stringify([...(is ?? [])].sort())) return []
      const reason = after.refused.find(refused => refused.vm === vm)?.hosts[0]?.refusal.text
      return [{ perturbation, vm, before: was, after: is, ...(reason === undefined ? {} : { reason }) }]
    })
  })
}

const devicesOf = ({ placed }: ReturnType<typeof planFleet>, vm: string): readonly string[] | undefined =>
  placed.find(machine => machine.vm === vm)?.steps.map(({ attach }) => attach)
