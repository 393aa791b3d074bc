/** What the outside world does to hardware: tell a function to move data, or to signal an interrupt. */
import { type Static, Type } from '@sinclair/typebox'
import {
  bytesToHex,
  formatAddress64,
  formatFunctionAddress,
  hex,
  hexToBytes,
  type Issue,
  parseAddress64,
  type RequesterId,
} from '../core/index.ts'
import { within } from '../engine/index.ts'
import { ADDRESS_TYPE, STATUS, type Status, TARGET } from '../pcie/index.ts'
import type { DmaPart, InterruptReport, SimulatedPlatform } from '../system/index.ts'
import { faultReasonName } from './faults.ts'
import { functionOf } from './functions.ts'
import { invalid } from './judge.ts'
import { operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Fields, Hex, HexBytes, Identifier, inPlatform, Words } from './schemas.ts'

const FaultView = Fields(
  {
    reason: Type.String({ description: 'Fault reason code of the specification' }),
    name: Type.String(),
    source: Type.String({ description: 'Requester id as the unit saw it' }),
    address: Hex,
    unit: Type.String(),
  },
  { $id: 'Fault', description: 'What a remapping unit recorded' },
)

const PART_OUTCOME = Words('completed', 'fault', 'aborted', 'notIssued', 'interrupt')
type PartOutcome = Static<typeof PART_OUTCOME>

const CAUSES = {
  [STATUS.unsupportedRequest]: 'unsupportedRequest',
  [STATUS.completerAbort]: 'completerAbort',
  [STATUS.notIssued]: 'busMasterDisabled',
  [STATUS.acsBlocked]: 'acsBlocked',
  [STATUS.bridgeBusMasterDisabled]: 'bridgeBusMasterDisabled',
  [STATUS.translationDenied]: 'translationDenied',
  [STATUS.pageRequested]: 'pageRequested',
  [STATUS.pasidDisabled]: 'pasidDisabled',
  [STATUS.completionTimeout]: 'completionTimeout',
  [STATUS.poisoned]: 'poisoned',
  [STATUS.phantomDisabled]: 'phantomDisabled',
  [STATUS.outstanding]: 'outstanding',
} as const
const CAUSE = Words('remappingFault', ...Object.values(CAUSES))

const PartView = Fields({
  address: Hex,
  length: Count(4096),
  outcome: PART_OUTCOME,
  target: Type.Optional(Words('memory', 'peer')),
  physicalAddress: Type.Optional(Hex),
  translated: Type.Optional(
    Type.Boolean({ description: 'Whether the function used an address from its device-TLB' }),
  ),
  fault: Type.Optional(FaultView),
  cause: Type.Optional(CAUSE),
})

const DmaView = Fields(
  {
    outcome: Words('completed', 'partial', 'fault', 'aborted', 'notIssued', 'interrupt'),
    data: Type.Optional(HexBytes),
    parts: Type.Array(PartView, { description: 'One for each 4-KiB page, ascending' }),
    fault: Type.Optional(FaultView),
    cause: Type.Optional(CAUSE),
  },
  { $id: 'DmaResult', description: 'How a DMA request ended. What hardware does is a result, not an error.' },
)

function faultOf(platform: SimulatedPlatform, part: DmaPart): Static<typeof FaultView> {
  return {
    reason: hex(part.faultReason, 2),
    name: faultReasonName(part.faultReason),
    source: formatFunctionAddress(part.segment, part.requesterId as RequesterId),
    address: formatAddress64(part),
    unit: platform.hardware.units[part.unit]?.id ?? '',
  }
}

function outcomeOf(status: Status, interrupt: boolean): PartOutcome {
  if (status === STATUS.successful) return interrupt ? 'interrupt' : 'completed'
  if (status === STATUS.remappingFault) return 'fault'
  return NOT_ISSUED.has(status) ? 'notIssued' : 'aborted'
}

/** Nothing of the access itself left the function. */
const NOT_ISSUED: ReadonlySet<Status> = new Set([
  STATUS.notIssued,
  STATUS.translationDenied,
  STATUS.pageRequested,
  STATUS.pasidDisabled,
  STATUS.phantomDisabled,
])

const causeOf = (status: Status) => CAUSES[status as keyof typeof CAUSES]

function partView(platform: SimulatedPlatform, part: DmaPart): Static<typeof PartView> {
  const { status, target } = part
  const cause = causeOf(status)
  return {
    address: formatAddress64(part),
    length: part.length,
    outcome: outcomeOf(status, target === TARGET.interrupt),
    ...(status === STATUS.successful && (target === TARGET.memory || target === TARGET.peer)
      ? {
          target: target === TARGET.memory ? ('memory' as const) : ('peer' as const),
          physicalAddress: hex(part.physicalPage * 4096 + part.offset),
          ...(part.addressType === ADDRESS_TYPE.translated ? { translated: true } : {}),
        }
      : {}),
    ...(status === STATUS.remappingFault ? { fault: faultOf(platform, part) } : {}),
    ...(cause === undefined ? {} : { cause }),
  }
}

const MOST_BYTES = 1_048_576
const path = '/v1/platforms/{platform}/functions/{function}'

export const dma = operation({
  summary: 'Tells the DMA engine of a function to read or write memory at an I/O virtual address',
  rest: { method: 'POST', path: `${path}/dma` },
  words: 'functions dma',
  input: inPlatform({
    function: Identifier,
    direction: Words('read', 'write'),
    address: Hex,
    data: Type.Optional(HexBytes),
    length: Type.Optional(Count(MOST_BYTES, 1)),
    pasid: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 0xf_ffff, title: 'process address space that the requests name' }),
    ),
    ats: Type.Optional(
      Type.Boolean({ title: 'true: use the device-TLB of the function, if ATS is enabled in it' }),
    ),
    privileged: Type.Optional(Type.Boolean({ title: 'true: privileged mode requested; needs a PASID' })),
    execute: Type.Optional(Type.Boolean({ title: 'true: execute permission requested; needs a PASID' })),
    phantom: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 7, title: 'send under the id of this phantom function' }),
    ),
    poisoned: Type.Optional(Type.Boolean({ title: 'true: the data is marked as corrupt' })),
  }),
  output: DmaView,
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    const fn = functionOf(platform, input.function)
    const write = input.direction === 'write'
    const bytes = payload(input)
    const { page, offset } = parseAddress64(input.address)
    if (page + Math.ceil((offset + bytes.length) / 4096) > 2 ** 52) {
      throw invalid([{ path: '/address', message: 'plus the length is wider than 64 bits' }])
    }
    const { pasid, ats, privileged, execute, phantom, poisoned } = input
    const special = [ats, privileged, execute, poisoned].includes(true)
    const numbered = pasid !== undefined || phantom !== undefined
    const options =
      special || numbered ? { pasid, useAts: ats, privileged, execute, phantom, poisoned } : undefined
    const { parts } = yield* within(
      platform.engine,
      platform.dma(fn.address, write, page, offset, bytes, options),
    )
    const views = parts.map(part => partView(platform, part))
    const first = views[0]!.outcome
    const outcome = views.every(view => view.outcome === first) ? first : ('partial' as const)
    const what = `${fn.address} ${write ? 'writes' : 'reads'} ${bytes.length} bytes at ${input.address}`
    platform.engine.trace.emit('dma', `${what}: ${outcome}`, {
      function: fn.address,
      direction: input.direction,
      address: input.address,
      length: bytes.length,
      outcome,
    })
    const failed = views.find(view => view.fault !== undefined || view.cause !== undefined)
    return {
      outcome,
      ...(!write && outcome === 'completed' ? { data: bytesToHex(bytes) } : {}),
      parts: views,
      ...(failed?.fault === undefined ? {} : { fault: failed.fault }),
      ...(failed?.cause === undefined ? {} : { cause: failed.cause }),
    }
  },
  tell: ({ outcome, parts, fault, cause, data }, input) => {
    const what = `${input.function}: DMA ${input.direction} at ${input.address}`
    if (fault !== undefined) {
      return `${what} was blocked by ${fault.unit}: reason ${fault.reason}, ${fault.name} (source ${fault.source}).`
    }
    if (cause !== undefined) return `${what} was ${outcome}: ${cause}.`
    if (outcome === 'interrupt') return `${what} was taken as an interrupt message.`
    const where = parts.map(part => `${part.target} ${part.physicalAddress}`).join(', ')
    return `${what} reached ${where}${data === undefined ? '' : ` and found ${data}`}.`
  },
})

/** The bytes to write, or room for those to read. Throws `invalidArgument` if the fields contradict. */
function payload(input: {
  direction: 'read' | 'write'
  data?: string
  length?: number
  pasid?: number
  privileged?: boolean
  execute?: boolean
}): Uint8Array {
  const { direction, data, length } = input
  const issues: Issue[] = []
  for (const mode of ['privileged', 'execute'] as const) {
    if (input[mode] === true && input.pasid === undefined) {
      issues.push({ path: `/${mode}`, message: 'needs a pasid' })
    }
  }
  if (direction === 'read') {
    if (data !== undefined) issues.push({ path: '/data', message: 'does not belong to a read' })
    if (length === undefined) issues.push({ path: '/length', message: 'is required for a read' })
  } else if (data === undefined || data === '') {
    issues.push({ path: '/data', message: 'is required for a write: at least one byte' })
  } else if (length !== undefined && length !== data.length / 2) {
    issues.push({ path: '/length', message: `is ${length} but data has ${data.length / 2} bytes` })
  } else if (data.length / 2 > MOST_BYTES) {
    issues.push({ path: '/data', message: `must be at most ${MOST_BYTES} bytes` })
  }
  if (issues.length > 0) throw invalid(issues)
  return direction === 'read' ? new Uint8Array(length!) : hexToBytes(data!)
}

const InterruptView = Fields(
  {
    outcome: Words('delivered', 'pending', 'blocked', 'notIssued'),
    remapped: Type.Boolean({ description: 'Whether an interrupt remapping table entry was used' }),
    irteIndex: Type.Optional(Type.Integer()),
    posted: Type.Optional(
      Type.Boolean({
        description: 'Entered into a posted interrupt descriptor; the vector is the notification’s',
      }),
    ),
    destination: Type.Optional(Hex),
    hostVector: Type.Optional(Count(255)),
    vm: Type.Optional(Type.String()),
    vcpu: Type.Optional(Type.Integer()),
    guestVector: Type.Optional(Count(255)),
    fault: Type.Optional(FaultView),
    cause: Type.Optional(Type.String()),
  },
  { $id: 'InterruptResult' },
)

function interruptView(
  platform: SimulatedPlatform,
  { signal, request, route }: InterruptReport,
): Static<typeof InterruptView> {
  if (signal === 'pending') {
    return { outcome: 'pending', remapped: false, cause: 'vectorMasked' }
  }
  if (signal !== 'sent') return { outcome: 'notIssued', remapped: false, cause: SIGNAL_CAUSES[signal] }
  const { status, interrupt } = request
  const { remapped, posted } = interrupt
  const index = interrupt.irteIndex < 0 ? {} : { irteIndex: interrupt.irteIndex }
  if (status === STATUS.remappingFault) {
    return {
      outcome: 'blocked',
      remapped,
      ...index,
      fault: faultOf(platform, request),
      cause: 'remappingFault',
    }
  }
  if (status === STATUS.notIssued) return { outcome: 'notIssued', remapped, cause: 'busMasterDisabled' }
  if (status !== STATUS.successful) {
    const cause = causeOf(status)
    return { outcome: 'blocked', remapped, ...(cause === undefined ? {} : { cause }) }
  }
  if (request.target !== TARGET.interrupt)
    return { outcome: 'notIssued', remapped, cause: 'notAnInterruptMessage' }
  if (posted && !interrupt.notified) {
    return { outcome: 'pending', remapped, ...index, posted, cause: 'postedWithoutNotification' }
  }
  const accepted = interrupt.processor >= 0
  return {
    outcome: !accepted ? 'blocked' : route?.pending ? 'pending' : 'delivered',
    remapped,
    ...index,
    ...(posted ? { posted } : {}),
    destination: hex(interrupt.destination),
    hostVector: interrupt.vector,
    ...(accepted ? {} : { cause: 'noProcessorAccepted' }),
    ...(route === undefined ? {} : { vm: route.vm, vcpu: route.vcpu, guestVector: route.guestVector }),
    ...(route?.pending ? { cause: 'guestNotReady' } : {}),
  }
}

const SIGNAL_CAUSES = {
  disabled: 'interruptsDisabled',
  noSuchVector: 'noSuchVector',
  noCapability: 'noCapability',
} as const

export const interrupt = operation({
  summary: 'Tells a function to signal one of its MSI-X or MSI vectors',
  rest: { method: 'POST', path: `${path}/interrupt` },
  words: 'functions interrupt',
  input: inPlatform({ function: Identifier, vector: Count(2047) }),
  output: InterruptView,
  errors: ['notFound', 'poweredOff'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    const fn = functionOf(platform, input.function)
    const report = yield* within(platform.engine, platform.fire(fn.address, input.vector))
    return interruptView(platform, report)
  },
  tell: ({ outcome, posted, hostVector, vm, vcpu, guestVector, fault, cause, irteIndex }, input) => {
    const what = `${input.function} vector ${input.vector}`
    if (fault !== undefined)
      return `${what} was blocked by ${fault.unit}: reason ${fault.reason}, ${fault.name}.`
    if (outcome !== 'delivered') return `${what}: ${outcome}${cause === undefined ? '' : ` (${cause})`}.`
    if (posted) {
      const guest =
        vm === undefined
          ? ''
          : `, and arrived in "${vm}" at virtual processor ${vcpu} as vector ${guestVector}`
      return `${what} was posted through IRTE ${irteIndex}, notification vector ${hostVector}${guest}.`
    }
    const host = `host vector ${hostVector}${irteIndex === undefined ? '' : ` through IRTE ${irteIndex}`}`
    return vm === undefined
      ? `${what} arrived as ${host}.`
      : `${what} arrived as ${host}, and in "${vm}" at virtual processor ${vcpu} as vector ${guestVector}.`
  },
})
