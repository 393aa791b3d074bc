/** Virtual machines that stand still, and go on. */
import { operation } from '../operation.ts'
import { Identifier, inPlatform } from '../schemas.ts'
import { command, VmView, vmView } from '../vms.ts'

const path = '/v1/platforms/{platform}/vms/{vm}'

export const pauseVm = operation({
  summary:
    'Keeps the virtual processors of a virtual machine from running; what comes for its devices is not taken',
  rest: { method: 'POST', path: `${path}/pause` },
  words: 'vms pause',
  input: inPlatform({ vm: Identifier }),
  output: VmView,
  errors: ['notFound', 'poweredOff', 'alreadyDone'],
  *run(context, { platform, vm }) {
    // biome-ignore lint/correctness/useYield: software that never waits is still software
    return yield* command(context, platform, function* ({ hypervisor }) {
      hypervisor.moves.pause(vm)
      return vmView(hypervisor.vm(vm))
    })
  },
  tell: (_output, { vm }) => `"${vm}" is paused.`,
})

export const resumeVm = operation({
  summary: 'Lets a paused virtual machine go on; interrupts that waited for it are taken',
  rest: { method: 'POST', path: `${path}/resume` },
  words: 'vms resume',
  atomic: true,
  input: inPlatform({ vm: Identifier }),
  output: VmView,
  errors: ['notFound', 'poweredOff', 'alreadyDone'],
  *run(context, { platform, vm }) {
    return yield* command(context, platform, function* ({ hypervisor }) {
      yield* hypervisor.moves.resume(vm)
      return vmView(hypervisor.vm(vm))
    })
  },
  tell: (_output, { vm }) => `"${vm}" goes on.`,
})
