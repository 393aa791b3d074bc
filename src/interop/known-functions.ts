/**
 * Functions of which a format tells identity, place and a few facts, but no configuration space: what is missing is
 * filled in, and said in the notes.
 */
import { busOf, formatFunctionAddress, NorthbridgeError } from '../core/index.ts'
import { CAPABILITY, CONVENTIONAL_CONFIG_SIZE, EXPRESS, PORT_TYPE } from '../pcie/formats/index.ts'
import { assumedConfig, ISOLATING, type KnownLink } from './assumed-config.ts'
import { CapturedFunction } from './captured-function.ts'
import { type FunctionFacts, headerFacts } from './function-facts.ts'
import type { ListedDetails } from './lspci/details.ts'
import { portType, Surroundings } from './surroundings.ts'
import { NO_ID, withVirtualFunctions } from './virtual-inference.ts'

const NO_DETAILS: ListedDetails = {
  regions: [],
  romSize: undefined,
  numaNode: undefined,
  driver: undefined,
  group: undefined,
}
/** Without VFs that are on, their places are not told: right behind the last function that a device can have. */
const FIRST_VF = { offset: 8, stride: 1 } as const

/** Throws `malformedInput` for two functions at one address. */
export function knownFunctions(facts: readonly FunctionFacts[], what: string): CapturedFunction[] {
  const at = new Map<string, FunctionFacts>()
  for (const one of facts) {
    const address = formatFunctionAddress(one.segment, one.rid)
    if (at.has(address))
      throw new NorthbridgeError('malformedInput', `${what}: ${address} is described twice`)
    at.set(address, one)
  }
  const surroundings = new Surroundings(facts)
  return facts.map(one => {
    const { segment, rid, title = '', details } = one
    const address = formatFunctionAddress(segment, rid)
    const config = one.physical === undefined ? configOf(one, surroundings) : virtualConfig(one)
    if (one.start !== undefined) keepStart(config, one.start)
    return new CapturedFunction(
      { address, segment, rid, title, config, details: [] },
      { ...NO_DETAILS, ...details, group: one.group },
    )
  })
}

/**
 * Functions of which some were read and of others only facts are known, in their order: what the others are follows
 * from the places of all.
 */
export function assembleFunctions(
  read: readonly (CapturedFunction | FunctionFacts)[],
  what: string,
): CapturedFunction[] {
  // Without any extended configuration space, what functions have there has to be assumed too.
  const cut = read.every(
    one => !(one instanceof CapturedFunction) || one.image.length <= CONVENTIONAL_CONFIG_SIZE,
  )
  const whole = (one: CapturedFunction | FunctionFacts): boolean =>
    one instanceof CapturedFunction && !(cut && one.capability(CAPABILITY.EXPRESS) !== undefined)
  if (read.every(whole)) return read as CapturedFunction[]
  const around = read.map(one => (one instanceof CapturedFunction ? factsOfRead(one) : one))
  const made = knownFunctions(withVirtualFunctions(around), what)
  return read.map((one, i) => (whole(one) ? (one as CapturedFunction) : made[i]!))
}

function factsOfRead(one: CapturedFunction): FunctionFacts {
  const { listed, details, image } = one
  const express = one.capability(CAPABILITY.EXPRESS)
  const type = express === undefined ? undefined : one.field(EXPRESS.CAPABILITIES, 'TYPE', express)
  const portType = PORT_TYPE_NAMES.find(name => PORT_TYPE[name] === type) ?? 'endpoint'
  return {
    ...headerFacts(image),
    segment: listed.segment,
    rid: listed.rid,
    title: listed.title,
    portType: express === undefined ? null : portType,
    // Only to be told from conventional functions: the bytes themselves stay.
    ...(express !== undefined && { link: NO_LINK }),
    group: details.group,
    details,
  }
}

const PORT_TYPE_NAMES = Object.keys(PORT_TYPE) as (keyof typeof PORT_TYPE)[]
const NO_LINK: KnownLink = { maxSpeed: 0, maxWidth: 0, speed: 0, width: 0 }
const STATUS = 0x06
const HAS_CAPABILITIES = 0x10
const POINTER = 0x34
const HEADER_SIZE = 0x40

/** The bytes that were read; of a header alone but for where the assumed capabilities begin. */
function keepStart(config: Uint8Array, header: Uint8Array): void {
  if (header.length >= CONVENTIONAL_CONFIG_SIZE) {
    config.set(header.subarray(0, CONVENTIONAL_CONFIG_SIZE))
    return
  }
  const assumed = { status: config[STATUS]!, pointer: config[POINTER]! }
  config.set(header.subarray(0, HEADER_SIZE))
  config[STATUS] = (header[STATUS]! & ~HAS_CAPABILITIES) | (assumed.status & HAS_CAPABILITIES)
  config[POINTER] = assumed.pointer
}

function configOf(one: FunctionFacts, around: Surroundings): Uint8Array {
  const { buses, virtual, rid } = one
  const type = portType(one, around)
  const [first, second] = virtual?.on ?? []
  return assumedConfig({
    ...one,
    bridge: buses && { primary: busOf(rid), ...buses },
    multifunction: (rid & 7) === 0 && around.isMultifunction(one),
    express: type && { type, link: one.link },
    acs: one.acs ?? (around.isAlone(one) ? ISOLATING : undefined),
    ari: one.ari ?? (around.needsAri(one) ? around.nextFunction(one) : undefined),
    ariForwarding: one.ariForwarding ?? around.below(one).some(below => around.needsAri(below)),
    sriov: virtual && {
      totalVfs: virtual.total,
      numVfs: virtual.on.length,
      offset: virtual.routing?.offset ?? (first === undefined ? FIRST_VF.offset : (first - rid) & 0xffff),
      stride:
        virtual.routing?.stride ??
        (first === undefined || second === undefined ? FIRST_VF.stride : (second - first) & 0xffff),
      vfDeviceId: virtual.deviceId ?? deviceIdOf(around.at(one.segment, first)) ?? one.deviceId,
    },
  })
}

/** Of a virtual function: as its text has it, because its registers have none. */
const deviceIdOf = (one: FunctionFacts | undefined): number | undefined =>
  one === undefined || one.deviceId === NO_ID ? undefined : one.deviceId

/** "VF configuration space": no ids of its own. */
function virtualConfig(one: FunctionFacts): Uint8Array {
  return assumedConfig({
    ...one,
    vendorId: NO_ID,
    deviceId: NO_ID,
    express: { type: 'endpoint', link: one.link },
  })
}
