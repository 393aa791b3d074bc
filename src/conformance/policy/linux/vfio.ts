/** Worked cases of VFIO: opening functions and groups, attaching to domains, VF tokens. */
import { z } from 'zod'
import { parseDocument } from '../../../core/index.ts'
import { interruptsSuffice, isReservedMemoryRelaxable, refuseToken } from '../../../host/vfio/rules.ts'
import {
  type Device,
  GroupUse,
  type PolicyHost,
  refuseGroup,
  refuseReservedMemory,
} from '../../../policy/index.ts'
import { type Judge, type Outcome, unknownShape, type WorkedCase } from '../worked-case.ts'

const flag = z.union([z.boolean(), z.int().transform(value => value !== 0), z.enum(['Y', 'N', '0', '1'])])
const policySchema = z.looseObject({
  allow_unsafe_interrupts: flag.default(false),
  isolated_msi: flag.default(true),
  kernel: z.string().default(''),
})
const isOn = (value: z.output<typeof flag>): boolean => value === true || value === 'Y' || value === '1'

export const judgeVfio: Judge = workedCase => {
  const { request } = workedCase
  if (Array.isArray(request['steps'])) return openInSteps(request['steps'])
  if ('token' in request) return openWithToken(workedCase)
  if ('open' in request) return open(workedCase)
  const operation = String(request['op'] ?? '')
  if (/set[ _]?iommu|interrupt/i.test(operation)) return setIommu(workedCase)
  if (/attach|claim/i.test(operation)) return attach(workedCase)
  return unknownShape('request has neither open, steps nor an operation that is known')
}

function openInSteps(steps: readonly unknown[]): Outcome {
  const group = new GroupUse()
  for (const [index, step] of steps.entries()) {
    if (/^(close|release)/.test(String(step))) group.close()
    else if (!/^open/.test(String(step))) return unknownShape(`there is no step "${String(step)}"`)
    else {
      const refusal = group.open()
      if (refusal !== undefined) return { decision: 'deny', ...refusal, step: index + 1 }
    }
  }
  return { decision: 'allow' }
}

const functionSchema = z.looseObject({
  address: z.string().optional(),
  iommu_group: z.int().nullable().optional(),
  driver: z.string().nullable().optional(),
  class: z.string().optional(),
  reserved_regions: z.enum(['none', 'direct', 'direct-relaxable']).default('none'),
})

/** Class names that cases use, as class codes. */
const CLASS_CODES: Readonly<Record<string, number>> = {
  usb: 0x0c0330,
  gpu: 0x030000,
  display: 0x030000,
  vga: 0x030000,
}

function hostOf({ devices }: WorkedCase): PolicyHost {
  return {
    name: 'host',
    numaNodes: [],
    isolatedInterrupts: true,
    users: new Map(),
    devices: devices.map((raw, index): Device => {
      const given = parseDocument(functionSchema, raw, `devices/${index}`)
      const { address = `device ${index}`, iommu_group: iommuGroup, driver, reserved_regions } = given
      const code =
        CLASS_CODES[given.class?.toLowerCase() ?? ''] ?? Number(`0x${given.class?.replace(/^0x/, '')}`)
      const relaxed = reserved_regions === 'direct' && isReservedMemoryRelaxable(code || 0)
      return {
        address,
        role: 'endpoint',
        reservedRegions: relaxed ? 'direct-relaxable' : reserved_regions,
        ...(iommuGroup === undefined ? {} : { iommuGroup }),
        ...(driver === undefined ? {} : { driver }),
      }
    }),
  }
}

function open(workedCase: WorkedCase): Outcome {
  const host = hostOf(workedCase)
  const wanted = workedCase.request['open']
  const device = host.devices.find(({ address }) => address === wanted) ?? host.devices[0]
  if (device === undefined) return unknownShape('there is no device to open')
  const refusal = refuseGroup(host, device)
  return refusal === undefined ? attach(workedCase) : { decision: 'deny', ...refusal }
}

function attach(workedCase: WorkedCase): Outcome {
  const host = hostOf(workedCase)
  const { kernel } = parseDocument(policySchema, workedCase.policy, 'policy')
  const errno = kernel !== '' && isBefore(kernel, [6, 6]) ? 'EPERM' : 'EINVAL'
  for (const device of host.devices) {
    const refusal = refuseReservedMemory(host, device, errno)
    if (refusal !== undefined) return { decision: 'deny', ...refusal }
  }
  return setIommu(workedCase)
}

function isBefore(version: string, [major, minor]: readonly [number, number]): boolean {
  const [, givenMajor = '', givenMinor = ''] = /(\d+)\.(\d+)/.exec(version) ?? []
  return Number(givenMajor) < major || (Number(givenMajor) === major && Number(givenMinor) < minor)
}

const UNSAFE = 'allow_unsafe_interrupts'

function setIommu({ policy }: WorkedCase): Outcome {
  const { allow_unsafe_interrupts, isolated_msi } = parseDocument(policySchema, policy, 'policy')
  const isolated = isOn(isolated_msi)
  if (!interruptsSuffice(isolated, isOn(allow_unsafe_interrupts)))
    return { decision: 'deny', errorClass: 'EPERM', hint: UNSAFE }
  return isolated ? { decision: 'allow' } : { decision: 'allow', warning: 'unsafe-interrupts' }
}

const tokenSchema = z.looseObject({
  type: z.string().default('other'),
  driver: z.string().nullable().optional(),
  pf_driver: z.string().nullable().optional(),
  pf_token: z.string().nullable().optional(),
  vf_token: z.string().nullable().optional(),
  token: z.string().nullable().optional(),
  users: z.int().optional(),
  vf_users: z.int().optional(),
})

/** Cases may say in words what the token is, where it only matters whether it is the PF's. */
const RIGHT = /^(?:right|correct|match|matching|same|current|pf|pf token)$/i

function openWithToken({ devices, request }: WorkedCase): Outcome {
  const wanted = String(request['open'] ?? '')
  const all = devices.map((raw, index) => parseDocument(tokenSchema, raw, `devices/${index}`))
  const fn = all.find(({ type, ['address']: address }) => type === wanted || address === wanted) ?? all[0]
  if (fn === undefined) return unknownShape('there is no device to open')
  const pf = fn.type === 'VF' ? all.find(({ type }) => type === 'PF') : fn
  const driver = fn.type === 'VF' ? (fn.pf_driver ?? pf?.driver) : fn.driver
  const token = [fn, pf]
    .map(each => each?.pf_token ?? each?.vf_token ?? each?.token)
    .find(each => each != null)
  const given = request['token']
  const refusal = refuseToken(
    {
      role: fn.type === 'VF' || fn.type === 'PF' ? fn.type : 'other',
      token: token ?? undefined,
      vfioHasPf: driver === 'vfio-pci',
      users: fn.users ?? fn.vf_users ?? pf?.users ?? pf?.vf_users ?? 0,
    },
    typeof given !== 'string' ? undefined : RIGHT.test(given) ? (token ?? given) : given,
  )
  return refusal === undefined ? { decision: 'allow' } : { decision: 'deny', errorClass: refusal.errno }
}
