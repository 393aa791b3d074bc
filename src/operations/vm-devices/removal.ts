/** Asking a guest for a function that its virtual machine has; and what makes a guest keep it. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../../core/index.ts'
import { within } from '../../engine/index.ts'
import { GuestKernel } from '../../guest/index.ts'
import { operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, Identifier, inPlatform, Words } from '../schemas.ts'
import { heldFunction, path } from './held-function.ts'

const NANOSECONDS = 1_000_000
/** A day: longer than anybody waits. */
const LONGEST_WAIT_MS = 86_400_000

const RemovalView = Fields(
  {
    function: Type.String(),
    answer: Type.Unsafe<'ejected' | 'refused' | 'pending'>({
      ...Words('ejected', 'refused', 'pending'),
      description: 'pending: the guest has not answered yet; the function goes when it does',
    }),
    reason: Type.Optional(Type.String({ description: "ACPI's name of why the guest keeps the function" })),
  },
  { $id: 'RemovalAnswer', description: 'What a guest did that was asked for a function' },
)

const TOLD = { ejected: 'has let go of', refused: 'keeps', pending: 'has not answered yet for' } as const

const tellAnswer = ({ function: fn, answer, reason }: Static<typeof RemovalView>, vm: string): string =>
  `The guest of "${vm}" ${TOLD[answer]} ${fn}${reason === undefined ? '' : ` (${reason})`}.`

export const requestRemoval = operation({
  summary: 'Asks the guest of a virtual machine to let go of a function, and waits for it as long as told',
  rest: { method: 'POST', path: `${path}/removal` },
  words: 'vms request-removal',
  atomic: true,
  input: inPlatform({
    vm: Identifier,
    function: Identifier,
    waitMs: Type.Optional(Count(LONGEST_WAIT_MS)),
  }),
  output: RemovalView,
  errors: ['notFound', 'poweredOff', 'alreadyDone'],
  *run(context, { platform: id, vm, function: text, waitMs = 0 }) {
    const platform = poweredPlatform(context, id)
    const address = heldFunction(platform, vm, text)
    const asked = platform.hypervisor.devices.requestRemoval(vm, address, waitMs * NANOSECONDS)
    const { answer, reason } = yield* within(platform.engine, asked)
    return { function: address, answer, ...(reason !== undefined && { reason }) }
  },
  tell: (output, input) => tellAnswer(output, input.vm),
})

export const holdDevice = operation({
  summary: 'A program in the guest opens a function, or closes it: its kernel keeps what is open',
  rest: { method: 'PUT', path: `${path}/hold` },
  words: 'vms hold-device',
  atomic: true,
  input: inPlatform({ vm: Identifier, function: Identifier, open: Type.Boolean() }),
  output: Fields({ function: Type.String(), open: Type.Boolean() }),
  errors: ['notFound', 'poweredOff', 'unsupported', 'vmPaused'],
  *run(context, { platform: id, vm, function: text, open }) {
    const platform = poweredPlatform(context, id)
    const { hypervisor } = platform
    const address = heldFunction(platform, vm, text)
    const { guestAddress } = hypervisor.vm(vm).devices.find(device => device.address === address)!
    const slot = Number.parseInt(guestAddress.slice(-4, -2), 16)
    yield* within(
      platform.engine,
      // biome-ignore lint/correctness/useYield: a program's call that needs no device
      hypervisor.runGuest(vm, 0, function* (software) {
        if (!(software instanceof GuestKernel))
          throw new NorthbridgeError('unsupported', `"${vm}" runs no kernel with programs`)
        software.hold(slot, open)
      }),
    )
    return { function: address, open }
  },
  tell: ({ function: fn, open }, input) =>
    `A program in "${input.vm}" has ${open ? 'opened' : 'closed'} ${fn}.`,
})
