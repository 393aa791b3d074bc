/** "Address Translation Services", "Page Request Interface" and PASID of a function, at a root complex that takes notes. */
import { beforeEach, describe, expect, test } from 'vitest'
import {
  Fabric,
  HostBridge,
  MemoryRequest,
  type PageRequest,
  type PcieFunction,
  STATUS,
  TARGET,
  type UpstreamSink,
} from '../../src/pcie/index.ts'
import { ALL, part } from './machine.ts'

const [ATS, PRI, PASID, ALLOCATION] = [0x154, 0x164, 0x174, 0x16c]
const ENABLE = 0x8000_0000
const [UNTRANSLATED, ASKING, TRANSLATED] = [0, 1, 2]
const [SUCCESSFUL, UNSUPPORTED, ACS_BLOCKED, DENIED, REQUESTED] = [0, 1, 7, 9, 10]
const READ = 1
const WRITE = 2

/** Answers translation requests by moving addresses up by 100h pages, and takes notes. */
class Agent implements UpstreamSink {
  readonly seen: (readonly [addressType: number, page: number, pasid: number])[] = []
  readonly pageRequests: PageRequest[] = []
  permissions = READ | WRITE
  size = 1
  untranslatedOnly = false
  refuses = false

  request(request: MemoryRequest): void {
    this.seen.push([request.addressType, request.page, request.pasid])
    if (this.refuses) request.status = STATUS.unsupportedRequest
    else if (request.addressType === ASKING) {
      request.translatedPage = request.page + 0x100
      request.permissions = this.permissions
      request.size = this.size
      request.untranslatedOnly = this.untranslatedOnly
    } else {
      request.target = TARGET.memory
      request.physicalPage = request.page
    }
  }

  pageRequest(request: PageRequest): void {
    this.pageRequests.push(request)
  }
}

let agent: Agent
let fabric: Fabric
let host: HostBridge
let fn: PcieFunction

function plug(below?: string): PcieFunction | undefined {
  agent = new Agent()
  fabric = new Fabric()
  host = new HostBridge({ segment: 0, bus: 0, lastBus: 255 }, agent)
  fabric.add(host)
  const bridge = below === undefined ? undefined : host.addFunction(1, 0, part(below))
  fn = host.addFunction(0, 0, part('ats-accelerator'), bridge)
  if (bridge !== undefined) {
    bridge.writeConfig(0x18, 0x0001_0100, ALL)
    bridge.writeConfig(0x04, 0x6, 0xffff)
    fn.captureBus(1)
  }
  fn.writeConfig(0x04, 0x6, 0xffff)
  return bridge
}
beforeEach(() => void plug('root-port'))

const access = (page: number, more: Partial<MemoryRequest> = {}) => {
  const request = new MemoryRequest()
  Object.assign(request, { page, length: 4, data: new Uint8Array(4), ...more })
  const group = fn.translation!.issue(request)
  return { request, group }
}
const enable = (stu = 0) => fn.writeConfig(ATS, ENABLE + stu * 0x1_0000, 0xffff_0000)

describe('"ATS Control Register"', () => {
  test('has Enable and STU writable, and what the maker built in read-only', () => {
    fn.writeConfig(ATS, ALL, ALL)
    // Invalidate Queue Depth 32 reads 0; Page Aligned Request.
    expect(fn.readConfig(ATS) >>> 0).toBe(0x801f_0020)
  })

  test('without Enable, requests go untranslated', () => {
    access(5)
    expect(agent.seen).toEqual([[UNTRANSLATED, 5, -1]])
  })

  test('with it, a translation is asked for first, and used while it is kept', () => {
    enable()
    expect(access(5).request).toMatchObject({ status: SUCCESSFUL, physicalPage: 0x105, page: 5 })
    access(5)
    expect(agent.seen).toEqual([
      [ASKING, 5, -1],
      [TRANSLATED, 0x105, -1],
      [TRANSLATED, 0x105, -1],
    ])
  })

  test('STU rounds what is asked for; a smaller translation is not used', () => {
    enable(3)
    agent.size = 8
    expect(access(0x45).request.physicalPage).toBe(0x145)
    expect(agent.seen[0]).toEqual([ASKING, 0x40, -1])
    expect(access(0x40).request.physicalPage).toBe(0x140)
    expect(agent.seen).toHaveLength(3)
    agent.size = 4
    expect(access(0x99).request.status).toBe(DENIED)
  })

  test('a large translation serves every page of it', () => {
    enable()
    agent.size = 512
    access(0x400)
    access(0x5ff)
    expect(agent.seen.map(([type]) => type)).toEqual([ASKING, TRANSLATED, TRANSLATED])
    expect(fn.translation!.invalidate(0x5ff, 1, -1)).toBe(0)
    expect(fn.translation!.entries()).toEqual([])
  })

  test('Enable is cleared by function level reset, which empties the device-TLB', () => {
    enable()
    access(5)
    fn.functionLevelReset()
    expect([fn.readConfig(ATS) >>> 31, fn.translation!.entries().length]).toEqual([0, 0])
  })
})

describe('completions of a translation request', () => {
  beforeEach(() => enable())

  test('without permission, nothing is accessed', () => {
    agent.permissions = READ
    expect(access(5, { write: true }).request.status).toBe(DENIED)
    expect(access(5).request.status).toBe(SUCCESSFUL)
    expect(access(5, { atomic: true }).request.status).toBe(DENIED)
  })

  test('for untranslated access only, the address is used as it is', () => {
    agent.untranslatedOnly = true
    expect(access(5).request).toMatchObject({ status: SUCCESSFUL, physicalPage: 5 })
    expect(agent.seen.map(([type]) => type)).toEqual([ASKING, UNTRANSLATED])
  })

  test('with an error, the access ends with it', () => {
    agent.refuses = true
    expect(access(5).request.status).toBe(UNSUPPORTED)
    expect(agent.seen).toHaveLength(1)
  })

  test('belong to their PASID and to the mode asked for', () => {
    access(5, { pasid: 7 })
    access(5, { pasid: 7, privileged: true })
    access(5, { pasid: 8 })
    access(5)
    expect(agent.seen.filter(([type]) => type === ASKING).map(([, , pasid]) => pasid)).toEqual([7, 7, 8, -1])
    expect(agent.seen.filter(([type]) => type === TRANSLATED).every(([, , pasid]) => pasid === -1)).toBe(true)
  })
})

describe('on the way up', () => {
  test('translation requests are for the root complex, even if a peer claims the address', () => {
    const peer = host.addFunction(2, 0, part('ats-accelerator'))
    peer.writeConfig(0x10, 0xe000_0000, ALL)
    peer.writeConfig(0x04, 0x6, 0xffff)
    enable()
    expect(access(0xe_0000).request.status).toBe(SUCCESSFUL)
    expect(agent.seen[0]).toEqual([ASKING, 0xe_0000, -1])
  })

  test('ACS Translation Blocking stops whatever is not untranslated', () => {
    const port = plug('root-port')!
    const acs = port.layout.findExtended(0x0d)
    port.writeConfig(acs + 4, 0x0002_0000, 0xffff_0000)
    enable()
    expect(access(5).request.status).toBe(ACS_BLOCKED)
    expect(agent.seen).toEqual([])
    fn.writeConfig(ATS, 0, 0xffff_0000)
    expect(access(5).request.status).toBe(SUCCESSFUL)
  })

  test('page requests do not pass a bridge to PCI, nor a port that is not a bus master', () => {
    plug('pcie-pci-bridge')
    fn.translation!.sendStopMarker(1)
    expect(agent.pageRequests).toEqual([])
    const port = plug('root-port')!
    port.writeConfig(0x04, 0x2, 0xffff)
    fn.translation!.sendStopMarker(1)
    expect(agent.pageRequests).toEqual([])
    port.writeConfig(0x04, 0x6, 0xffff)
    fn.translation!.sendStopMarker(1)
    expect(agent.pageRequests).toMatchObject([
      { pasid: 1, read: false, write: false, last: true, sourceId: 0x100 },
    ])
  })
})

describe('"Page Request Interface"', () => {
  const [PRI_ENABLE, RESET, RF, UPRGI, STOPPED] = [1, 2, 0x1_0000, 0x2_0000, 0x100_0000]
  const control = () => fn.readConfig(PRI) >>> 0
  beforeEach(() => {
    enable()
    agent.permissions = 0
    fn.writeConfig(ALLOCATION, 2, ALL)
    fn.writeConfig(PRI, PRI_ENABLE, 0xffff)
  })

  test('asks for what is needed, each page as a group of its own', () => {
    const first = access(5, { write: true })
    const second = access(6, { pasid: 9, execute: true })
    expect([first.request.status, second.request.status]).toEqual([REQUESTED, REQUESTED])
    expect(agent.pageRequests).toEqual([
      {
        sourceId: 0x100,
        pasid: -1,
        page: 5,
        read: false,
        write: true,
        execute: false,
        privileged: false,
        groupIndex: first.group,
        last: true,
      },
      {
        sourceId: 0x100,
        pasid: 9,
        page: 6,
        read: true,
        write: false,
        execute: true,
        privileged: false,
        groupIndex: second.group,
        last: true,
      },
    ])
  })

  test('never has more requests out than software has allocated', () => {
    for (const page of [5, 6, 7]) access(page)
    expect(agent.pageRequests).toHaveLength(2)
    fn.translation!.pageRequests!.answered(0, 0)
    access(7)
    expect(agent.pageRequests).toHaveLength(3)
  })

  test('is stopped when it is disabled and every request has been answered', () => {
    const { group } = access(5)
    fn.writeConfig(PRI, 0, 0xffff)
    expect(control() & STOPPED).toBe(0)
    fn.translation!.pageRequests!.answered(group, 0)
    expect(control() & STOPPED).toBe(STOPPED)
    expect(access(6).request.status).toBe(DENIED)
  })

  test('notes a response that it does not wait for, and one of failure; both are cleared by writing 1', () => {
    fn.translation!.pageRequests!.answered(0x1f, 0)
    expect(control() & (UPRGI | RF)).toBe(UPRGI)
    fn.translation!.pageRequests!.answered(access(5).group, 15)
    expect(control() & (UPRGI | RF | PRI_ENABLE)).toBe(UPRGI | RF)
    fn.writeConfig(PRI, UPRGI | RF, 0xffff_0000)
    expect(control() & (UPRGI | RF)).toBe(0)
  })

  test('is reset by software while it is disabled: nothing is outstanding then', () => {
    const { group } = access(5)
    fn.writeConfig(PRI, 0, 0xffff)
    fn.writeConfig(PRI, RESET, 0xffff)
    expect(control() & (RESET | STOPPED)).toBe(STOPPED)
    fn.translation!.pageRequests!.answered(group, 0)
    expect(control() & UPRGI).toBe(UPRGI)
  })

  test('goes on after save and load', () => {
    const { group } = access(5)
    const saved = fn.save()
    plug('root-port')
    fn.load(saved)
    fn.translation!.pageRequests!.answered(group, 0)
    expect(control() & UPRGI).toBe(0)
  })
})

describe('"PASID Control Register"', () => {
  test('permits PASIDs, and execute and privileged mode, each as enabled', () => {
    const permits = (privileged: boolean, execute: boolean) =>
      fn.translation!.permitsPasid(privileged, execute)
    expect(permits(false, false)).toBe(false)
    fn.writeConfig(PASID, 0x1_0000, 0xffff_0000)
    expect([permits(false, false), permits(true, false), permits(false, true)]).toEqual([true, false, false])
    fn.writeConfig(PASID, 0x7_0000, 0xffff_0000)
    expect(permits(true, true)).toBe(true)
  })

  test('of a physical function counts for its virtual functions, which have none', () => {
    fn.writeConfig(0x190, 1, 0xffff)
    fn.writeConfig(0x188, 0x11, 0xffff)
    const [vf] = fn.virtualFunctions
    expect(vf!.translation!.permitsPasid(false, false)).toBe(false)
    fn.writeConfig(PASID, 0x1_0000, 0xffff_0000)
    expect(vf!.translation!.permitsPasid(false, false)).toBe(true)
  })
})

test('a function without any of the capabilities has no address translation services', () => {
  const plain = host.addFunction(3, 0, part('intel-82574l'))
  expect(plain.translation).toBeUndefined()
})
