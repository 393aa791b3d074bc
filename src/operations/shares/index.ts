/** Operations on the processors of the host as virtual machines share them. */
import { type Static, Type } from '@sinclair/typebox'
import { DEFAULT_SLICE_NS, SLICE_RANGE_NS } from '../../hypervisor/index.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, Identifier, inPlatform } from '../schemas.ts'
import { command } from '../vms.ts'
import { CpuSettings, CpuView } from './schemas.ts'

const vmPath = '/v1/platforms/{platform}/vms/{vm}/cpu'
const path = '/v1/platforms/{platform}/cpu'
/** A minute of virtual time. */
const LONGEST_RUN = 60_000_000_000

const milliseconds = (nanoseconds: number): string => `${(nanoseconds / 1_000_000).toFixed(1)} ms`

const tellOne = ({ vm, usedNs, entitledNs, readyNs, turns, moves }: Static<typeof CpuView>): string =>
  `${vm}: ${milliseconds(usedNs)} of ${milliseconds(entitledNs)} that it was entitled to, in ${turns} turns (${moves} moves); waited ${milliseconds(readyNs)}.`

export const vmCpu = operation({
  summary: 'Shows the part of the processors that a virtual machine may have, and what it has had',
  rest: { method: 'GET', path: vmPath },
  words: 'cpu get',
  input: inPlatform({ vm: Identifier }),
  output: CpuView,
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, vm }) =>
    now(() => ({ ...poweredPlatform(context, platform).hypervisor.cpu.view(vm) })),
  tell: tellOne,
})

export const setVmCpu = operation({
  summary: 'Sets shares, reservation, limit and load of the virtual processors of a virtual machine',
  rest: { method: 'PUT', path: vmPath },
  words: 'cpu set',
  input: inPlatform({ vm: Identifier, ...CpuSettings }),
  output: CpuView,
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'outOfResources', 'unsupported'],
  run: (context, { platform, vm, ...settings }) =>
    now(() => ({ ...poweredPlatform(context, platform).hypervisor.cpu.set(vm, settings) })),
  tell: ({ vm, shares, reservationPercent, limitPercent, loadPercent }) =>
    `"${vm}" has ${shares} shares, ${reservationPercent} % of a processor reserved and ${limitPercent} % at most; its processors are busy ${loadPercent} % of the time.`,
})

const HostCpuView = Fields({ processors: Count(4096), machines: Type.Array(CpuView) }, { $id: 'HostCpu' })

export const hostCpu = operation({
  summary: 'Shows how virtual machines share the processors of the host',
  rest: { method: 'GET', path },
  words: 'cpu host',
  input: inPlatform({}),
  output: HostCpuView,
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform }) =>
    now(() => {
      const { hypervisor, hardware } = poweredPlatform(context, platform)
      const machines = hypervisor.cpu.views().map(view => ({ ...view }))
      return {
        processors: hardware.processors.length,
        machines: machines.sort((a, b) => (a.vm < b.vm ? -1 : 1)),
      }
    }),
  tell: ({ processors, machines }) =>
    [`${processors} logical processors, ${machines.length} virtual machines.`, ...machines.map(tellOne)].join(
      '\n',
    ),
})

export const runCpu = operation({
  summary: 'Lets time pass while virtual machines compute, their turns shared out slice by slice',
  rest: { method: 'POST', path: `${path}/run` },
  words: 'cpu run',
  atomic: true,
  input: inPlatform({
    nanoseconds: Count(LONGEST_RUN, SLICE_RANGE_NS.least),
    sliceNs: Type.Optional(
      Type.Integer({
        minimum: SLICE_RANGE_NS.least,
        maximum: SLICE_RANGE_NS.most,
        description: `Nanoseconds of a turn; default ${DEFAULT_SLICE_NS}`,
      }),
    ),
  }),
  output: Fields(
    {
      machines: Type.Array(
        Fields({
          vm: Type.String(),
          usedNs: Type.Number(),
          entitledNs: Type.Number(),
          readyNs: Type.Number(),
        }),
      ),
    },
    { $id: 'CpuRun' },
  ),
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'outOfMemory', 'unsupported'],
  *run(context, { platform, nanoseconds, sliceNs }) {
    const { cpu } = poweredPlatform(context, platform).hypervisor
    const before = new Map(cpu.views().map(view => [view.vm, view]))
    yield* command(context, platform, () => cpu.run(nanoseconds, sliceNs))
    const machines = cpu
      .views()
      .map(({ vm, usedNs, entitledNs, readyNs }) => ({
        vm,
        usedNs: usedNs - before.get(vm)!.usedNs,
        entitledNs: entitledNs - before.get(vm)!.entitledNs,
        readyNs: readyNs - before.get(vm)!.readyNs,
      }))
      .sort((a, b) => (a.vm < b.vm ? -1 : 1))
    return { machines }
  },
  tell: ({ machines }) =>
    machines
      .map(
        ({ vm, usedNs, entitledNs, readyNs }) =>
          `${vm} computed for ${milliseconds(usedNs)} (entitled to ${milliseconds(entitledNs)}) and waited ${milliseconds(readyNs)}.`,
      )
      .join('\n'),
})
