/** Operations on frames: one followed on its whole journey, many offered, those on a wire kept as a capture file. */
import { type Static, Type } from '@sinclair/typebox'
import { bytesToHex, hexToBytes } from '../../core/index.ts'
import { type Software, within } from '../../engine/index.ts'
import { LINKTYPE_ETHERNET, packetAt, readPcap, writePcap } from '../../interop/index.ts'
import { ETHERTYPE, Frame, parseMac, write16 } from '../../net/index.ts'
import { followJourney, type SimulatedPlatform } from '../../system/index.ts'
import { functionOf } from '../functions.ts'
import { JourneyView, journeyFields, tellJourney } from '../journeys.ts'
import { invalid } from '../judge.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, FunctionAddress, HexBytes, Identifier, inPlatform, Name, Words } from '../schemas.ts'
import { driverOf, withDriver } from './devices.ts'
import { portOf } from './nics.ts'
import { Mac } from './schemas.ts'

const FrameTraceView = JourneyView(
  {
    sent: Type.Boolean({ description: 'Whether the sender could send it at all' }),
    length: Count(16_384),
    received: Type.Array(
      Fields({ vm: Type.String(), slot: Count(31), intact: Type.Boolean({ description: 'Byte for byte' }) }),
      { description: 'Guests that have it in a buffer of theirs' },
    ),
  },
  { $id: 'FrameTrace', description: 'The journey of one frame, step by step, and what it cost' },
)

/** "Local Experimental EtherType 1" (IEEE 802): nobody takes such a frame for something else. */
const EXPERIMENTAL = 0x88b5
const DEFAULT_LENGTH = 60

/** A frame of the given addresses, filled with bytes that count up. */
function frameOf(from: Uint8Array, to: Uint8Array, length: number, vlan: number | undefined): Uint8Array {
  const frame = new Uint8Array(length).map((_, i) => i)
  frame.set(to)
  frame.set(from, 6)
  if (vlan !== undefined) {
    write16(frame, 12, ETHERTYPE.vlan)
    write16(frame, 14, vlan)
  }
  write16(frame, vlan === undefined ? 12 : 16, EXPERIMENTAL)
  return frame
}

/** The frame that is to be sent. Throws `invalidArgument` if the fields contradict. */
function givenFrame(input: {
  data?: string
  to?: string
  sender?: string
  length?: number
  vlan?: number
}): Uint8Array {
  const { data, to, sender = '02:00:00:00:00:fe', length = DEFAULT_LENGTH, vlan } = input
  if (data !== undefined) {
    if (to !== undefined) throw invalid([{ path: '/to', message: 'does not belong beside data' }])
    const bytes = hexToBytes(data)
    if (bytes.length < 14 || bytes.length > 9216) {
      throw invalid([{ path: '/data', message: 'must be a frame of 14 to 9216 bytes' }])
    }
    return bytes
  }
  if (to === undefined) throw invalid([{ path: '/to', message: 'is required without data' }])
  return frameOf(parseMac(sender), parseMac(to), length, vlan)
}

export const traceFrame = operation({
  summary: 'Sends one frame, from a wire or from a guest, and shows its whole journey with all that it cost',
  rest: { method: 'POST', path: '/v1/platforms/{platform}/frame-traces' },
  words: 'trace frame',
  input: inPlatform({
    function: Type.Optional(FunctionAddress),
    vm: Type.Optional(Name),
    slot: Type.Optional(Count(31)),
    outside: Type.Optional(Name),
    to: Type.Optional(Mac),
    sender: Type.Optional(Mac),
    length: Type.Optional(
      Type.Integer({ minimum: 60, maximum: 1514, title: 'bytes without frame check sequence' }),
    ),
    vlan: Type.Optional(Type.Integer({ minimum: 1, maximum: 4094 })),
    data: Type.Optional(HexBytes),
  }),
  output: FrameTraceView,
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  *run(context, input) {
    const running = poweredPlatform(context, input.platform)
    const { function: fn, vm, outside } = input
    if ([fn, vm, outside].filter(one => one !== undefined).length !== 1) {
      const message = 'either a function, for its wire, or a vm or a switch outside sends the frame'
      throw invalid([{ path: '/function', message }])
    }
    const frame = givenFrame(input)
    return yield* within(running.engine, follow(running, frame, input))
  },
  tell: output => tellTrace(output),
})

function* follow(
  running: SimulatedPlatform,
  frame: Uint8Array,
  { function: fn, vm, slot, outside }: { function?: string; vm?: string; slot?: number; outside?: string },
): Software<Static<typeof FrameTraceView>> {
  const { networking, wires } = running
  const sender = vm === undefined ? undefined : networking.device(vm, slot)
  const port = fn === undefined ? undefined : portOf(running, fn)
  const world = outside === undefined ? undefined : wires.switch(outside)
  // What earlier frames left unread is not this one.
  for (const device of networking.devices) takeFrames(running, device.vm, device.slot)
  let sent = false
  const journey = yield* followJourney(running, function* () {
    if (port !== undefined) sent = wires.send(port, frame)
    else if (world !== undefined) sent = world.send(Frame.of(frame)) === undefined
    else sent = yield* withDriver(running, sender!.vm, sender!.slot, driver => driver.send(frame))
  })
  const received: { vm: string; slot: number; intact: boolean }[] = []
  for (const device of networking.devices) {
    for (const data of takeFrames(running, device.vm, device.slot)) {
      received.push({ vm: device.vm, slot: device.slot, intact: Buffer.compare(data, padded(frame)) === 0 })
    }
  }
  return {
    sent,
    length: frame.length,
    received,
    ...journeyFields(journey),
  }
}

/** Senders pad a frame to the minimum. */
const padded = (frame: Uint8Array): Uint8Array => {
  if (frame.length >= DEFAULT_LENGTH) return frame
  const whole = new Uint8Array(DEFAULT_LENGTH)
  whole.set(frame)
  return whole
}

/** Reading what the guest has read already costs the guest nothing. */
const takeFrames = (running: SimulatedPlatform, vm: string, slot: number): readonly Uint8Array[] =>
  running.hypervisor.lookAtGuest(vm, 0, kernel => driverOf(kernel, vm, slot).takeFrames())

function tellTrace({ sent, length, received, ...journey }: Static<typeof FrameTraceView>): string {
  const where =
    received.length === 0
      ? 'no guest received it'
      : received
          .map(
            ({ vm, slot, intact }) =>
              `"${vm}" slot ${slot} received it${intact ? ' byte for byte' : ', changed'}`,
          )
          .join('; ')
  return `A frame of ${length} bytes ${sent ? 'was sent' : 'could not be sent'}: ${where}.\n${tellJourney(journey)}`
}

const path = '/v1/platforms/{platform}/nics/{function}'

export const captureFrames = operation({
  summary: 'Begins to keep the frames that pass a wire, or ends it',
  rest: { method: 'POST', path: `${path}/capture` },
  words: 'nics capture',
  input: inPlatform({ function: Identifier, capture: Words('on', 'off') }),
  output: Fields({ function: Type.String(), capture: Words('on', 'off'), frames: Count(65_536) }),
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, function: text, capture }) =>
    now(() => {
      const running = poweredPlatform(context, platform)
      const port = portOf(running, text)
      running.wires.record(port, capture === 'on')
      const { frames } = running.wires.recorded(port)
      return { function: functionOf(running, text).address, capture, frames: frames.length }
    }),
})

export const capturedFrames = operation({
  summary: 'Returns what passed a wire as a capture file (pcap) that Wireshark and tshark read',
  rest: { method: 'GET', path: `${path}/capture` },
  words: 'nics captured',
  input: inPlatform({ function: Identifier }),
  output: Fields({
    frames: Count(65_536),
    lost: Type.Number({ description: 'Frames for which there was no room' }),
    pcap: Type.String({ description: 'The file, as hexadecimal digits' }),
  }),
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, function: text }) =>
    now(() => {
      const running = poweredPlatform(context, platform)
      const { frames, lost } = running.wires.recorded(portOf(running, text))
      const file = writePcap(frames.map(({ time, data }) => packetAt(time, data)))
      return { frames: frames.length, lost, pcap: bytesToHex(file) }
    }),
})

export const replayFrames = operation({
  summary: 'Puts the frames of a capture file (pcap) on the wire of a port, one after the other',
  rest: { method: 'POST', path: `${path}/replay` },
  words: 'nics replay',
  input: inPlatform({ function: Identifier, pcap: HexBytes }),
  output: Fields({
    frames: Count(Number.MAX_SAFE_INTEGER),
    sent: Count(Number.MAX_SAFE_INTEGER),
    cut: Type.Integer({ description: 'Packets that the capture did not keep whole: not sent' }),
  }),
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'malformedInput'],
  *run(context, { platform, function: text, pcap }) {
    const running = poweredPlatform(context, platform)
    const port = portOf(running, text)
    const { linkType, fcsLength, packets } = readPcap(hexToBytes(pcap))
    if (linkType !== LINKTYPE_ETHERNET) {
      throw invalid([{ path: '/pcap', message: `has link type ${linkType}, not Ethernet (1)` }])
    }
    let sent = 0
    let cut = 0
    for (const { data, originalLength } of packets) {
      if (data.length < originalLength) {
        cut++
        continue
      }
      const length = data.length - fcsLength
      if (running.wires.send(port, data.subarray(0, length))) sent++
      yield* within(running.engine, running.elapse(running.wires.occupation(port, length)))
    }
    return { frames: packets.length, sent, cut }
  },
  tell: ({ frames, sent, cut }, input) =>
    `${sent} of ${frames} frames went to ${input.function}${cut > 0 ? `; ${cut} were not kept whole` : ''}.`,
})
