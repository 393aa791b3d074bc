/** ixgbe's mailbox: what virtual functions of an 82599 ask for, and get. Answers as Linux's ixgbe gives them. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { NicModel } from '../../../src/devices/index.ts'
import { type DeviceAccess, type NetworkAdapter, openAdapter } from '../../../src/host/index.ts'
import { AdapterRig, frameOf, OTHER, PF } from './adapter-rig.ts'

/** Registers of a virtual function, as ixgbevf's header has them. */
const VFCTRL = 0x0
const VFMBMEM = 0x200
const VFMAILBOX = 0x2fc
/** Messages, and how they are answered. */
const RESET = 1
const SET_MAC = 2
const SET_MULTICAST = 3
const SET_VLAN = 4
const SET_LPE = 5
const SET_MACVLAN = 6
const NEGOTIATE = 8
const GET_QUEUES = 9
const GET_RETA = 0xa
const GET_RSS_KEY = 0xb
const UPDATE_XCAST = 0xc
const GET_LINK_STATE = 0x10
const INFO = 16
const ACK = 0x8000_0000
const NACK = 0x4000_0000
const CTS = 0x2000_0000
const API = { '1.0': 0, '2.0': 1, '1.1': 2, '1.2': 3, '1.3': 4, '1.4': 5, '1.5': 6 } as const

const VFS = 40
/** In the second half of every register that has a bit for each. */
const VF = 35
const VF_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0xa0)
const OWN_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x77)

let rig: AdapterRig
let adapter: NetworkAdapter
let vf: DeviceAccess

beforeEach(() => {
  rig = new AdapterRig('intel-82599')
  adapter = rig.adapter
  vf = rig.platform.host.device(rig.virtualFunction(VF, VFS))
})

/** Sends a message and reads the answer. */
function ask(...message: readonly number[]): number[] {
  vf.writeRegister(0, VFMAILBOX, 4)
  expect(vf.readRegister(0, VFMAILBOX) & 4).toBe(4)
  for (const [i, word] of message.entries()) vf.writeRegister(0, VFMBMEM + 4 * i, word >>> 0)
  vf.writeRegister(0, VFMAILBOX, 1)
  rig.settle()
  expect(vf.readRegister(0, VFMAILBOX) & 0x10).toBe(0x10)
  const answer = Array.from({ length: 16 }, (_, i) => vf.readRegister(0, VFMBMEM + 4 * i) >>> 0)
  vf.writeRegister(0, VFMAILBOX, 2)
  return answer
}

const granted = (...message: readonly number[]): boolean => {
  const [head] = ask(...message)
  expect(head! & 0xffff).toBe(message[0]! & 0xffff)
  return (head! & ACK) !== 0
}
const words = (mac: Uint8Array): [number, number] => {
  const view = new DataView(Uint8Array.from([...mac, 0, 0]).buffer)
  return [view.getUint32(0, true), view.getUint32(4, true)]
}
const state = () => adapter.virtualFunctions[VF]!
const pool = () =>
  (rig.platform.functionAt(PF).modelMade as NicModel).inspect().pools.find(({ pool }) => pool === VF)!
/** Whether a frame from the wire comes to the virtual function's pool. */
function reached(to: Uint8Array): boolean {
  const { drops, pools } = (rig.platform.functionAt(PF).modelMade as NicModel).inspect()
  const before = (drops['queueDisabled'] ?? 0) + pools[VF]!.received
  rig.arrives(frameOf(to, OTHER))
  const after = (rig.platform.functionAt(PF).modelMade as NicModel).inspect()
  return (after.drops['queueDisabled'] ?? 0) + after.pools[VF]!.received > before
}

describe('the module', () => {
  const CORECTL = 0x1_4f00
  const SW_FW_SYNC = 0x1_0160
  const own = () => rig.platform.host.device(PF)

  it('is identified and set up as the card says before the port is reset', () => {
    rig.run(adapter.close())
    const access = own()
    const written: string[] = []
    const write = access.writeRegister.bind(access)
    access.writeRegister = (bar, offset, value, lanes) => {
      if (offset === CORECTL) written.push(`CORECTL ${value}`)
      if (offset === 0 && value & (1 << 26)) written.push('CTRL.RST')
      write(bar, offset, value, lanes)
    }
    rig.run(openAdapter(access, rig.platform.engine))
    expect(written).toEqual(['CORECTL 1', 'CTRL.RST'])
    expect(access.readRegister(0, SW_FW_SYNC)).toBe(0)
  })

  it('of which somebody else holds the bus is not looked at', () => {
    rig.run(adapter.close())
    own().writeRegister(0, SW_FW_SYNC, 1 << 1)
    expect(() => rig.open()).toThrow('held by somebody else')
  })
})

describe('reset', () => {
  it('is answered by exactly RESET and ACK, the address that the administrator chose, and the hash type', () => {
    adapter.configureVirtualFunction(VF, { mac: VF_MAC })
    expect(ask(RESET).slice(0, 4)).toEqual([(RESET | ACK) >>> 0, ...words(VF_MAC), 0])
    expect(state()).toMatchObject({ clearToSend: true, inUse: VF_MAC })
    expect(pool()).toMatchObject({ receiveEnabled: true, transmitEnabled: true, macSpoofCheck: true })
  })

  it('is answered by RESET and NACK where nobody chose: the virtual function takes its own', () => {
    expect(ask(RESET)[0]).toBe(RESET | NACK)
    expect(granted(SET_MAC, ...words(OWN_MAC))).toBe(true)
    expect(state().inUse).toEqual(OWN_MAC)
    expect(reached(OWN_MAC)).toBe(true)
  })

  it('comes before everything else: until then every request is refused without CTS', () => {
    expect(ask(NEGOTIATE, API['1.1'])[0]).toBe((NEGOTIATE | NACK) >>> 0)
    ask(RESET)
    expect(ask(NEGOTIATE, API['1.1'])[0]).toBe((NEGOTIATE | ACK | CTS) >>> 0)
  })

  it('by VFCTRL takes the queues and what was asked for', () => {
    ask(RESET)
    granted(SET_MAC, ...words(OWN_MAC))
    granted(SET_VLAN | (1 << INFO), 100)
    vf.writeRegister(0, VFCTRL, 1 << 26)
    rig.settle()
    expect(state()).toMatchObject({ clearToSend: false, vlans: [] })
    expect(pool()).toMatchObject({ receiveEnabled: false, transmitEnabled: false })
    expect(reached(OWN_MAC)).toBe(false)
  })
})

describe('the version of the language', () => {
  it.each([
    ['1.0', true],
    ['2.0', false],
    ['1.1', true],
    ['1.4', true],
    ['1.5', false],
  ] as const)('%s: %s', (version, known) => {
    ask(RESET)
    expect(granted(NEGOTIATE, API[version])).toBe(known)
  })

  it.each([
    [GET_QUEUES, '1.0', false],
    [GET_QUEUES, '1.1', true],
    [UPDATE_XCAST, '1.1', false],
    [UPDATE_XCAST, '1.2', true],
    [GET_LINK_STATE, '1.1', false],
    [GET_LINK_STATE, '1.2', true],
    [GET_RETA, '1.4', false],
    [GET_RSS_KEY, '1.4', false],
    [0x7f, '1.4', false],
  ] as const)('message %d in %s: %s', (message, version, known) => {
    ask(RESET)
    granted(NEGOTIATE, API[version])
    expect(granted(message, 0)).toBe(known)
  })

  it('is 1.0 again after a reset', () => {
    ask(RESET)
    granted(NEGOTIATE, API['1.4'])
    ask(RESET)
    expect(granted(GET_QUEUES)).toBe(false)
  })
})

describe('queues', () => {
  beforeEach(() => {
    ask(RESET)
    granted(NEGOTIATE, API['1.1'])
  })

  it('are two each way, the first by default', () => {
    expect(ask(GET_QUEUES).slice(1, 5)).toEqual([2, 2, 0, 0])
  })

  it('carry tags that it has to take off where a port VLAN was set', () => {
    adapter.configureVirtualFunction(VF, { vlan: 30 })
    expect(ask(GET_QUEUES).slice(1, 5)).toEqual([2, 2, 1, 0])
    expect(pool().portVlan).toBe(30)
  })

  it('receive frames of the standard size, and nothing any more when it wants longer ones', () => {
    expect(granted(SET_LPE, 1518)).toBe(true)
    expect(pool().receiveEnabled).toBe(true)
    expect(granted(SET_LPE, 67)).toBe(false)
    expect(pool().receiveEnabled).toBe(true)
    expect(granted(SET_LPE, 9018)).toBe(false)
    expect(pool().receiveEnabled).toBe(false)
    expect(granted(SET_LPE, 1518)).toBe(true)
    expect(pool().receiveEnabled).toBe(true)
  })

  it('are limited to a share of the line, from 11 Mb/s on', () => {
    adapter.configureVirtualFunction(VF, { maximumRate: 2500 })
    expect(pool().rateLimitMbps).toBe(2500)
    expect(() => adapter.configureVirtualFunction(VF, { maximumRate: 10_001 })).toThrow('10000 Mb/s at most')
    expect(() => adapter.configureVirtualFunction(VF, { maximumRate: 10 })).toThrow('lowest limit')
    adapter.configureVirtualFunction(VF, { maximumRate: 0 })
    expect(pool().rateLimitMbps).toBe(null)
  })
})

describe('addresses', () => {
  it('of the administrator stay, unless the virtual function is trusted', () => {
    adapter.configureVirtualFunction(VF, { mac: VF_MAC })
    ask(RESET)
    expect(granted(SET_MAC, ...words(OWN_MAC))).toBe(false)
    expect(granted(SET_MAC, ...words(VF_MAC))).toBe(true)
    expect(granted(SET_MACVLAN | (1 << INFO), ...words(OWN_MAC))).toBe(false)
    adapter.configureVirtualFunction(VF, { trusted: true })
    expect(granted(SET_MAC, ...words(Uint8Array.of(1, 0, 0, 0, 0, 1)))).toBe(false)
    expect(granted(SET_MAC, ...words(OWN_MAC))).toBe(true)
    expect([reached(OWN_MAC), reached(VF_MAC)]).toEqual([true, false])
  })

  it('besides the first are a list, which is begun, added to and forgotten, and not checked as a source', () => {
    ask(RESET)
    granted(SET_MAC, ...words(OWN_MAC))
    const [a, b, c] = [1, 2, 3].map(i => Uint8Array.of(2, 0, 0, 0, 3, i)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    expect(granted(SET_MACVLAN | (1 << INFO), ...words(a))).toBe(true)
    expect(granted(SET_MACVLAN | (2 << INFO), ...words(b))).toBe(true)
    expect([OWN_MAC, a, b, c].map(reached)).toEqual([true, true, true, false])
    expect(pool().macSpoofCheck).toBe(false)
    expect(granted(SET_MACVLAN | (1 << INFO), ...words(c))).toBe(true)
    expect([OWN_MAC, a, b, c].map(reached)).toEqual([true, false, false, true])
    expect(granted(SET_MACVLAN)).toBe(true)
    expect([OWN_MAC, a, b, c].map(reached)).toEqual([true, false, false, false])
  })

  it('are 127 besides the host’s: who comes then gets none, and one that has one may change it', () => {
    ask(RESET)
    const macOf = (i: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 4, i)
    let entries = 0
    while (granted(SET_MACVLAN | (2 << INFO), ...words(macOf(entries)))) entries++
    expect(entries).toBe(127)
    expect(() => adapter.configureVirtualFunction(0, { mac: VF_MAC, vlan: 9 })).toThrow(
      'no receive address left',
    )
    expect(adapter.virtualFunctions[0]).toMatchObject({ vlan: 0, vlans: [] })
    expect(() => rig.run(adapter.openPool(OWN_MAC))).toThrow('no receive address left')
    adapter.configureVirtualFunction(VF, { mac: VF_MAC })
    expect(reached(VF_MAC)).toBe(true)
  })

  it('of groups are hashed, and hearing all of them is for the trusted', () => {
    ask(RESET)
    granted(NEGOTIATE, API['1.3'])
    const group = Uint8Array.of(1, 0, 0x5e, 0, 0x30, 0x12)
    expect(reached(group)).toBe(false)
    // Bits 47:36 of the address.
    expect(granted(SET_MULTICAST | (1 << INFO), 0x123)).toBe(true)
    expect(reached(group)).toBe(true)
    expect(granted(SET_MULTICAST)).toBe(true)
    expect(reached(group)).toBe(false)
    expect(ask(UPDATE_XCAST, 2).slice(0, 2)).toEqual([(UPDATE_XCAST | ACK | CTS) >>> 0, 1])
    expect(state().promiscuous).toBe('none')
    adapter.configureVirtualFunction(VF, { trusted: true })
    expect(ask(UPDATE_XCAST, 2)[1]).toBe(2)
    expect([state().promiscuous, reached(group)]).toEqual(['multicast', true])
    // No pool of an 82599 hears every single address.
    expect(granted(UPDATE_XCAST, 3)).toBe(false)
  })
})

it('VLANs are joined and left, but for VLAN 0, until a port VLAN is set', () => {
  ask(RESET)
  expect(granted(SET_VLAN | (1 << INFO), 0)).toBe(true)
  expect(granted(SET_VLAN | (1 << INFO), 100)).toBe(true)
  expect(granted(SET_VLAN, 0)).toBe(true)
  expect(state().vlans).toEqual([100])
  expect(granted(SET_VLAN, 100)).toBe(true)
  expect(state().vlans).toEqual([])
  adapter.configureVirtualFunction(VF, { vlan: 30 })
  expect(granted(SET_VLAN | (1 << INFO), 101)).toBe(false)
  expect(state().vlans).toEqual([30])
})

it('there is nobody beyond the last virtual function', () => {
  expect(() => adapter.configureVirtualFunction(VFS, { vlan: 1 })).toThrow(`no virtual function ${VFS}`)
})
